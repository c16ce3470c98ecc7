"""The network of a package needs nothing but torch, and computes the same."""

import ast
import json

import numpy as np
import pytest
import torch
from networks import COMPUTE
from packages import MODELS, random_model

from napari_unet.core.bioimage_io.network import (
    activated_network,
    architecture_arguments,
    architecture_source,
    as_torchscript,
)
from napari_unet.core.models.blocks import BlockNetwork
from napari_unet.core.models.unet_config import UNetConfig


def test_the_architecture_needs_nothing_of_ours():
    source = architecture_source()
    imports = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert all(isinstance(node, ast.ImportFrom) or len(node.names) == 1 for node in imports)
    modules = {getattr(node, "module", node.names[0].name).split(".")[0] for node in imports}
    assert modules == {"__future__", "torch", "types", "typing"}
    names = {"__name__": "unet"}
    exec(compile(source, "unet.py", "exec"), names)
    architecture = UNetConfig(depth=1, base_channels=2, out_channels=3, dropout=0.1).model_dump()
    heads = [{"channels": 3, "activation": "softmax"}]
    net = names["ActivatedUNet"](architecture, heads).eval()
    torch.testing.assert_close(net(torch.rand(1, 1, 5, 7)).sum(1), torch.ones(1, 5, 7))


@pytest.mark.parametrize("kind", MODELS)
def test_the_network_is_built_from_plain_values_and_gives_activated_outputs(kind):
    model = random_model(**MODELS[kind])
    arguments = architecture_arguments(model.info)
    assert json.loads(json.dumps(arguments)) == arguments
    image = np.random.default_rng(0).random(
        (model.info.unet.in_channels, *(20,) * model.info.unet.ndim), np.float32
    )
    with torch.no_grad():
        found = activated_network(model)(torch.from_numpy(image)[None])[0].numpy()
    np.testing.assert_allclose(found, BlockNetwork(model, COMPUTE)(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["three classes", "volume"])
def test_torchscript_takes_images_of_any_size(kind):
    net = activated_network(random_model(**MODELS[kind]))
    script = as_torchscript(net)
    for size in (7, 12):
        image = torch.rand(2, net.config.in_channels, *(size,) * net.config.ndim)
        with torch.no_grad():
            torch.testing.assert_close(script(image), net(image), rtol=0, atol=1e-5)
