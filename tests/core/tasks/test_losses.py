import numpy as np
import pytest
import torch

from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.losses import (
    activate,
    bce_dice,
    cross_entropy_dice,
    instance_loss,
)
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

TWO = Semantic(
    classes=(ClassInfo(id=1, name="nucleus"), ClassInfo(id=2, name="rest", background=True))
)
THREE = Semantic(classes=tuple(ClassInfo(id=i, name=str(i), background=i == 0) for i in range(3)))
TASKS = [TWO, THREE, Instances()]
IDS = ["two classes", "three classes", "instances"]


def sample(task, seed=0):
    """Build logits, targets and weight of a batch that contains every class and object."""
    generator = torch.Generator().manual_seed(seed)
    labels = np.zeros((2, 24, 24), int)
    labels[:, 2:10, 3:12], labels[:, 12:20, 8:22] = 1, 2
    inside = np.ones((24, 24), bool)
    inside[:, 18:] = False
    encoded = [task.encode(plane, inside) for plane in labels]
    targets, weight = (torch.from_numpy(np.stack(a)) for a in zip(*encoded, strict=True))
    channels = sum(head.channels for head in task.heads)
    logits = torch.randn(2, channels, 24, 24, generator=generator)
    return logits.requires_grad_(), targets, weight


def perfect_logits(task, targets):
    if isinstance(task, Instances):
        logits = targets.clone()
        logits[:, :1] = 40 * targets[:, :1] - 20
        logits[:, 1:2] = torch.logit(targets[:, 1:2], eps=1e-6)
        return logits
    if task.binary:
        return 40 * targets - 20
    one_hot = torch.nn.functional.one_hot(targets[:, 0].long(), len(task.classes))
    return 40 * one_hot.movedim(-1, 1).float() - 20


@pytest.mark.parametrize("task", TASKS, ids=IDS)
def test_a_perfect_prediction_cannot_be_improved(task):
    _, targets, weight = sample(task)
    logits = perfect_logits(task, targets).requires_grad_()
    loss = task.loss()(logits, targets, weight)
    (gradient,) = torch.autograd.grad(loss, logits)
    loss = loss.detach()
    assert gradient.abs().max() < 1e-5
    if isinstance(task, Instances):  # the entropy of the graded distance remains
        p = targets[:, 1:2].clamp(1e-6, 1 - 1e-6)
        entropy = -(p * p.log() + (1 - p) * (1 - p).log())
        loss = loss - (entropy * weight[:, 1:2]).sum() / weight[:, 1:2].sum()
    assert float(loss) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("task", TASKS, ids=IDS)
def test_a_wrong_prediction_costs_more_than_a_vague_one(task):
    _, targets, weight = sample(task)
    loss = task.loss()
    right = perfect_logits(task, targets)
    costs = [float(loss(right * factor, targets, weight)) for factor in (1, 0, -1)]
    assert costs == sorted(costs)
    assert costs[2] > costs[1] + 1


@pytest.mark.parametrize("task", TASKS, ids=IDS)
def test_ignored_pixels_have_no_gradient_and_no_influence(task):
    logits, targets, weight = sample(task)
    loss = task.loss()
    value = loss(logits, targets, weight)
    (gradient,) = torch.autograd.grad(value, logits)
    start = 0
    for head, head_weight in zip(task.heads, weight.unbind(1), strict=True):
        part = gradient[:, start : start + head.channels].movedim(1, -1)
        assert (part[head_weight == 0] == 0).all()
        assert (part[head_weight > 0] != 0).any()
        start += head.channels
    changed, others = logits.detach().clone(), targets.clone()
    changed[..., 18:] = 50
    others[..., 18:] = 1
    assert float(loss(changed, others, weight)) == float(value.detach())


@pytest.mark.parametrize("task", TASKS, ids=IDS)
def test_a_batch_in_which_nothing_counts_costs_a_finite_nothing(task):
    logits, targets, weight = sample(task)
    loss = task.loss()(logits, targets, torch.zeros_like(weight))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert float(loss.detach()) == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("task", TASKS, ids=IDS)
def test_extreme_logits_stay_finite(task):
    logits, targets, weight = sample(task)
    loss = task.loss()(logits * 1e4, targets, weight)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_bce_and_dice_by_hand():
    # Two pixels count: probability 3/4 of a foreground and 1/4 of a background pixel.
    logits = torch.tensor([[[[np.log(3), -np.log(3), 5.0]]]])
    targets = torch.tensor([[[[1.0, 0.0, 0.0]]]])
    weight = torch.tensor([[[[1.0, 1.0, 0.0]]]])
    bce = -np.log(0.75)
    dice = 2 * 0.75 / (0.75 + 0.25 + 1)
    loss = float(bce_dice(logits, targets, weight))
    assert loss == pytest.approx(bce + 1 - dice, abs=1e-5)


def test_cross_entropy_and_dice_by_hand():
    # Probabilities (1/2, 1/4, 1/4) of class 0 and (1/4, 1/4, 1/2) of class 1; class 2 is absent.
    two, ln = np.log(2), np.log
    logits = torch.tensor([[[[two, 0.0]], [[0.0, 0.0]], [[0.0, two]]]])
    targets = torch.tensor([[[[0.0, 1.0]]]])
    loss = float(cross_entropy_dice(logits, targets, torch.ones(1, 1, 1, 2)))
    cross_entropy = (-ln(0.5) - ln(0.25)) / 2
    dice = [2 * 0.5 / (0.75 + 1), 2 * 0.25 / (0.5 + 1)]
    assert loss == pytest.approx(cross_entropy + 1 - np.mean(dice), abs=1e-5)


def test_offsets_by_hand():
    targets, weight = torch.zeros(1, 4, 1, 2), torch.zeros(1, 3, 1, 2)
    weight[0, 2, 0, 0] = 1
    logits = targets.clone()
    logits[0, 2:, 0, 0] = torch.tensor([0.35, -0.05])
    logits[0, 2:, 0, 1] = 9  # ignored
    # Smooth L1 with beta 0.1: |e| - 0.05 beyond it, e^2 / 0.2 within.
    expected = 0.35 - 0.05 + 0.05**2 / 0.2
    assert float(instance_loss(logits, targets, weight)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("task", [TWO, THREE], ids=IDS[:2])
def test_equal_class_weights_change_nothing_and_unequal_ones_shift_the_cost(task):
    logits, targets, weight = sample(task)
    n = len(task.classes)

    def cost(*weights):
        weighted = task.model_copy(update={"class_weights": weights or None})
        return float(weighted.loss()(logits.detach(), targets, weight))

    plain = cost()
    assert cost(*[1.0] * n) == pytest.approx(plain, rel=1e-6)
    assert cost(*[10.0] * n) == pytest.approx(plain, rel=1e-5)
    # Right in the first class and wrong elsewhere: if only the first class has a weight, the
    # mistakes affect only the Dice loss.
    right = perfect_logits(task, targets)
    first = targets == list(task.ids).index(task.classes[0].id)
    logits = torch.where(first, right, -right).requires_grad_()
    assert cost(*[0.0] * (n - 1), 1.0) > cost(1.0, *[0.0] * (n - 1)) + 10


@pytest.mark.parametrize("task", TASKS, ids=IDS)
def test_activated_logits_are_outputs(task):
    logits, _, _ = sample(task)
    outputs = activate(task, logits.detach().bfloat16())
    assert outputs.dtype == torch.float32
    assert outputs.shape == logits.shape
    if task is THREE:
        torch.testing.assert_close(outputs.sum(1), torch.ones(2, 24, 24))
    if isinstance(task, Instances):
        assert ((outputs[:, :2] > 0) & (outputs[:, :2] < 1)).all()
        torch.testing.assert_close(outputs[:, 2:], logits[:, 2:].detach().bfloat16().float())
