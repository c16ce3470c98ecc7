import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.core.models.unet import UNet, fold_batch_norm
from napari_unet.core.models.unet_config import UNetConfig


def random_unet(**values):
    """Build a network in evaluation mode, with batch statistics as after training."""
    torch.manual_seed(0)
    net = UNet(UNetConfig(**({"base_channels": 2} | values))).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.3, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0.5, 0.5)
    return net


@settings(max_examples=40)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from(["batch", "none"]),
    st.sampled_from(["transposed", "resize"]),
)
def test_any_size_depth_and_number_of_channels(
    height, width, depth, channels_in, channels_out, norm, upsampling
):
    net = random_unet(
        depth=depth,
        in_channels=channels_in,
        out_channels=channels_out,
        norm=norm,
        upsampling=upsampling,
    )
    with torch.no_grad():
        out = net(torch.randn(2, channels_in, height, width))
    assert out.shape == (2, channels_out, height, width)
    assert out.isfinite().all()


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_three_dimensions(upsampling):
    net = random_unet(ndim=3, depth=2, in_channels=2, out_channels=3, upsampling=upsampling)
    with torch.no_grad():
        assert net(torch.randn(1, 2, 5, 9, 13)).shape == (1, 3, 5, 9, 13)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_nothing_is_seen_beyond_the_receptive_radius(depth, upsampling):
    net = random_unet(depth=depth, upsampling=upsampling).double()
    for parameter in net.parameters():
        parameter.data.abs_()  # so that no ReLU is dead and changes spread as far as possible
    radius = net.config.receptive_radius_px
    # Every phase of the down-sampling along one axis, at a random one along the other.
    size = 2 * radius + 3 * net.config.multiple
    size += -size % net.config.multiple
    image = torch.rand(1, 1, size, 8, dtype=torch.float64)
    furthest = 0
    with torch.no_grad():
        before = net(image)
        for y in range(size // 2, size // 2 + net.config.multiple):
            image[0, 0, y] += 1e3
            changed = (net(image) != before).any(dim=3).nonzero()[:, 2]
            image[0, 0, y] -= 1e3
            before = net(image)
            furthest = max(furthest, *(changed - y).abs().tolist())
    assert furthest <= radius
    # The bound is not wasteful either: a halo wider than needed slows down every prediction.
    assert furthest >= 0.6 * radius


@pytest.mark.parametrize("ndim", [2, 3])
def test_folding_batch_normalisation_leaves_the_output(ndim):
    net = random_unet(ndim=ndim, depth=2, in_channels=2, base_channels=8)
    image = torch.randn(1, 2, *(8, 20, 24)[3 - ndim :])
    with torch.no_grad():
        before = net(image)
        folded = fold_batch_norm(net)
        after = folded(image)
    assert before.std() > 0.01
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
    kinds = {type(m) for m in folded.modules()}
    assert not kinds & {torch.nn.BatchNorm2d, torch.nn.BatchNorm3d}


def test_dropout_acts_in_training_only():
    net = random_unet(dropout=0.5, depth=2, base_channels=4)
    image = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(net(image), net(image), atol=0, rtol=0)
        for module in net.modules():
            if isinstance(module, torch.nn.Dropout2d):
                module.train()
        assert not torch.equal(net(image), net(image))


def test_each_level_doubles_the_channels():
    net = random_unet(depth=3, base_channels=4)
    assert [stage[0].out_channels for stage in net.encoder] == [4, 8, 16, 32]


@pytest.mark.parametrize("ndim", [2, 3])
def test_upsampling_learns_as_a_transposed_convolution_does(ndim):
    """The gradient of its bias is computed in a faster way."""
    torch.manual_seed(0)
    up = UNet(UNetConfig(ndim=ndim, depth=1, base_channels=4)).train().up[0]
    x = torch.randn(2, 8, *[5] * ndim)
    found = []
    for forward in (up, up.conv):
        up.zero_grad()
        y = forward(x)
        (y * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum().backward()
        found.append((y, up.conv.weight.grad.clone(), up.conv.bias.grad.clone()))
    for own, known in zip(*found, strict=True):
        torch.testing.assert_close(own, known)
    assert found[0][2].abs().min() > 0
