import pytest
import torch

from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.training.style_noise import style_noise

IMAGES = torch.randn(16, 1, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def net() -> UNet:
    torch.manual_seed(0)
    return UNet(UNetConfig(depth=2, base_channels=4, out_channels=1)).eval()


def test_features_vary_while_the_context_lasts(net) -> None:
    with torch.no_grad():
        before = net(IMAGES)
        with style_noise(net, 0.3):
            first, second = net(IMAGES), net(IMAGES)
        after = net(IMAGES)
    torch.testing.assert_close(after, before)
    assert not torch.allclose(first, before)
    assert not torch.allclose(first, second)


def test_a_seed_gives_the_same_again(net) -> None:
    found = []
    for _ in range(2):
        torch.manual_seed(7)
        with style_noise(net, 0.3), torch.no_grad():
            found.append(net(IMAGES))
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_no_strength_is_no_noise(net) -> None:
    with torch.no_grad():
        before = net(IMAGES)
        with style_noise(net, 0):
            during = net(IMAGES)
    torch.testing.assert_close(during, before, rtol=0, atol=0)


def test_patches_change_as_a_whole_and_each_in_its_own_way(net) -> None:
    layer = next(m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d))
    seen: list[torch.Tensor] = []

    def look() -> None:
        handle = layer.register_forward_hook(lambda _m, _i, out: seen.append(out.clone()))
        with torch.no_grad():
            net(IMAGES)
        handle.remove()

    look()
    torch.manual_seed(3)
    with style_noise(net, 0.3):
        look()
    plain, changed = seen
    same = []
    for some, then in zip(plain, changed, strict=True):
        same.append(torch.equal(some, then))
        for channel, other in zip(some, then, strict=True):  # linear in the values before
            known = torch.stack([channel.ravel(), torch.ones(channel.numel())], 1)
            factors = torch.linalg.lstsq(known, other.ravel()).solution
            torch.testing.assert_close(known @ factors, other.ravel(), rtol=1e-4, atol=1e-4)
    assert any(same)
    assert not all(same)  # about half of the patches are unchanged
