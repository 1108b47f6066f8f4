"""The training loop: learning, planning, every reason to stop, and the best weights at the end."""

import os
import signal

import numpy as np
import pytest
import torch

from support.runs import SMALL, Clock, Sines
from swt_time.config import Config
from swt_time.errors import ConfigError, SWTTimeError, TableError
from swt_time.model import build_model
from swt_time.training import Plan, Step, Validation, train_model


def nothing(_):
    """Ignore what the loop reports or saves."""


def run(windows=None, validation=None, report=nothing, save_best=nothing, save_state=nothing, **changes):
    values = {"training.max_steps": 40, "training.batch_size": 16, **changes}
    config = Config.parse(SMALL).replace(values)
    torch.manual_seed(config.training.seed)
    model = build_model(config)
    windows = Sines() if windows is None else windows
    save = {"save_best": save_best, "save_state": save_state}
    return model, train_model(model, windows, validation, config.training, report=report, **save)


def error(model, windows):
    context, target = (torch.from_numpy(x).unsqueeze(-1) for x in windows.gather(np.arange(len(windows))))
    with torch.no_grad():
        return torch.mean((model(context) - target) ** 2).item()


def test_training_reduces_the_error():
    held_out = Sines(seed=1)
    untrained = build_model(Config.parse(SMALL)).eval()
    model, result = run(validation=Sines(seed=2), **{"training.max_steps": 150, "training.learning_rate": 0.01})
    assert result.ended == "finished"
    assert error(model, held_out) < 0.1 * error(untrained, held_out)


def test_best_weights_are_restored():
    validation = Sines(seed=2)
    saved = []
    # The learning rate is so large that the loss goes up and down.
    model, result = run(
        validation=validation,
        save_best=lambda r: saved.append((r.best_step, r.best_loss)),
        **{"training.learning_rate": 0.3, "training.validate_every": 2, "training.schedule": "cosine"},
    )
    losses = {row.step: row.validation_loss for row in result.history}
    assert result.best_loss == min(losses.values()) == losses[result.best_step]
    assert result.best_step < 40, "control: the last weights are not the best ones"
    assert saved[-1] == (result.best_step, result.best_loss)
    assert error(model, validation) == pytest.approx(result.best_loss, rel=1e-5)
    assert not model.training


def test_validation_loss_is_the_mean_over_all_points():
    validation = Sines(count=37, seed=2)
    model, result = run(validation=validation, **{"training.max_steps": 10, "training.validate_every": 10})
    assert result.history[-1].validation_loss == pytest.approx(error(model, validation), rel=1e-5)


def test_same_seed_same_weights_other_seed_other_weights():
    dropout = {"model.dropout": 0.3, "training.max_steps": 12}
    states = [run(**dropout, **{"training.seed": seed})[0].trained_state() for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["head.linear.weight"], states[2]["head.linear.weight"])


def test_an_epoch_visits_every_window_once():
    windows = Sines(count=50)
    run(windows, **{"training.max_steps": 8})
    for epoch in (windows.asked[:4], windows.asked[4:]):
        assert sorted(np.concatenate(epoch)) == list(range(50))
    assert not np.array_equal(windows.asked[0], windows.asked[4])


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_an_equal_loss_is_no_improvement(patience):
    """The learning rate is too small to change a float32 weight, so all validation losses are equal."""
    _, result = run(
        validation=Sines(seed=3),
        **{"training.learning_rate": 1e-30, "training.max_steps": 400, "training.patience": patience}
        | {"training.validate_every": 1, "training.weight_decay": 0.0},
    )
    assert result.ended == "early stopping"
    assert [row.best for row in result.history] == [True] + patience * [False]
    assert (result.best_step, result.steps) == (1, 1 + patience)


def test_early_stopping_when_the_validation_loss_rises():
    class Opposite(Sines):
        def gather(self, indices):
            context, target = super().gather(indices)
            return context, -target

    _, result = run(
        validation=Opposite(seed=3),
        **{
            "training.max_steps": 200,
            "training.patience": 3,
            "training.validate_every": 5,
            "training.learning_rate": 0.01,
        },
    )
    assert result.ended == "early stopping"
    assert [row.best for row in result.history[-4:]] == [True] + [False] * 3
    assert result.best_step == result.history[-4].step
    assert result.steps < 200


def test_without_validation_the_last_weights_are_kept():
    _, result = run()
    assert result.best_loss is None
    assert result.best_step == result.steps == 40
    assert all(row.validation_loss is None for row in result.history)


class BatchClock(Clock):
    """A clock that advances when a batch is gathered: by 0.1 s for the first 29 batches, then by ``later``."""

    def __init__(self, later):
        super().__init__()
        self.batches, self.later = 0, later

    def watch(self, windows):
        """Advance the clock with every batch of these windows."""
        gather = windows.gather

        def slow(indices):
            self.batches += 1
            self.now += 0.1 if self.batches < 30 else self.later
            return gather(indices)

        windows.gather = slow
        return windows


@pytest.mark.parametrize("later", [0.1, 0.3, 0.03], ids=["steady", "slower later", "faster later"])
def test_steps_and_schedule_fit_into_the_time_budget(monkeypatch, later):
    clock = BatchClock(later)
    monkeypatch.setattr("swt_time.processes.time", clock)
    events = []
    _, result = run(
        clock.watch(Sines()),
        clock.watch(Sines(count=32, seed=2)),
        report=events.append,
        **{"training.max_steps": 1_000_000, "training.max_seconds": 20.0, "training.patience": None},
    )
    plan = next(e for e in events if isinstance(e, Plan))
    # The budget is 200 batches of 0.1 s, of which ten validations take two each.
    assert 170 <= plan.total_steps <= 185
    assert plan.seconds == pytest.approx(20, abs=1)
    assert result.ended == "finished"
    assert 17 <= clock.now <= 20
    assert {0.1: 165, 0.3: 60, 0.03: 400}[later] < result.steps < {0.1: 190, 0.3: 90, 0.03: 620}[later]
    # The learning rate reaches its end when the run does.
    assert result.history[-1].step == result.steps
    assert result.history[-1].learning_rate < 0.02 * max(row.learning_rate for row in result.history)


def test_reported_events():
    events = []
    run(validation=Sines(seed=2), report=events.append)
    steps = [e for e in events if isinstance(e, Step)]
    assert [e.step for e in steps] == list(range(1, 41))
    assert all(e.total_steps == 40 and e.windows_per_second > 0 for e in steps)
    assert steps[-1].seconds_left == 0
    assert sum(isinstance(e, Plan) for e in events) == 1
    assert [e.step for e in events if isinstance(e, Validation)] == list(range(4, 41, 4))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_the_best_weights(number):
    def report(event):
        if isinstance(event, Step) and event.step == 9:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    _, result = run(validation=Sines(seed=2), report=report, **{"training.validate_every": 4})
    assert result.ended == "interrupted"
    assert result.steps == 9
    assert result.best_step in (4, 8)
    assert signal.getsignal(number) == before


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(SWTTimeError, match=r"the training loss became (nan|inf) at step"):
        run(**{"training.learning_rate": 1e30, "training.clip_norm": None, "training.schedule": "cosine"})


@pytest.mark.parametrize(
    "changes",
    [
        {"training.learning_rate": 1e308},
        {"training.weight_decay": 1e308},
        {"training.reconstruction_weight": 1e308, "embedding.learnable": "free"},
    ],
    ids=lambda changes: next(iter(changes)),
)
@pytest.mark.parametrize("validation", [None, Sines(seed=2)], ids=["all rows", "validation"])
@pytest.mark.parametrize("skip", ["ridge", "linear"])
def test_weights_that_are_not_finite_are_an_error(changes, validation, skip):
    """After the last step there is no training loss that would show it."""
    events, saved = [], []
    values = {"training.max_steps": 1, "model.skip": skip, **changes}
    with pytest.raises(SWTTimeError, match=r"(weights of .* not finite after|loss became \w+ at) step 1; lower"):
        run(validation=validation, report=events.append, save_best=saved.append, **values)
    assert all(event.step == 0 for event in events if isinstance(event, Validation))
    assert all(result.best_step == 0 for result in saved)


def test_a_state_with_weights_that_are_not_finite_is_not_saved():
    states = []
    changes = {"training.max_steps": 9, "training.validate_every": 9, "training.checkpoint_every": 1}
    with pytest.raises(SWTTimeError, match="not finite"):
        run(save_state=states.append, **changes, **{"training.learning_rate": 1e308})
    assert all(torch.isfinite(one).all() for state in states for one in state.tensors.values())


def test_no_windows_is_an_error():
    class Nothing(Sines):
        def __len__(self):
            return 0

    with pytest.raises(TableError, match="holds no window"):
        run(Nothing())


@pytest.mark.parametrize("micro_batch", [1, 5, 16, 100])
def test_micro_batches_give_the_gradients_of_the_whole_batch(tiny_backbones, micro_batch):
    config = Config.parse(SMALL).replace(
        {
            "backbone.name": str(tiny_backbones["gpt2"]),
            "backbone.precision": "float32",
            "embedding.learnable": "free",
            "embedding.boundary": "periodic",
            "model.d_ff": 16,
            "model.n_prototypes": 20,
            "training.max_steps": 1,
            "training.batch_size": 16,
            "training.clip_norm": None,
        }
    )
    gradients = []
    for size in (None, micro_batch):
        torch.manual_seed(0)
        model = build_model(config)
        torch.nn.init.constant_(model.gate, 0.5)
        train_model(model, Sines(), None, config.replace({"training.micro_batch": size}).training)
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.requires_grad})
    whole, parts = gradients
    for name, expected in whole.items():
        assert expected.abs().max() > 0, name
        assert (parts[name] - expected).abs().max() <= 1e-5 * max(1.0, expected.abs().max().item()), name


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 99 bytes"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "python"],
)
@pytest.mark.parametrize(("size", "advice"), [(16, "training.micro_batch to 8"), (1, "model.n_prototypes")])
def test_out_of_memory_names_the_option_to_lower(error, size, advice):
    def fail(*_):
        raise error

    config = Config.parse(SMALL).replace({"training.max_steps": 2, "training.batch_size": size})
    model = build_model(config)
    model.head.register_forward_pre_hook(fail)
    with pytest.raises(ConfigError, match=f"out of memory with {size} windows at once; set {advice}"):
        train_model(model, Sines(), None, config.training)


def test_another_runtime_error_is_not_changed():
    def fail(*_):
        raise RuntimeError("shapes cannot be multiplied")

    config = Config.parse(SMALL).replace({"training.max_steps": 2})
    model = build_model(config)
    model.head.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        train_model(model, Sines(), None, config.training)


def test_prompts_are_tokenised_in_the_first_epoch_only(tiny_backbones):
    config = Config.parse(SMALL).replace(
        {
            "backbone.name": str(tiny_backbones["bert"]),
            "backbone.precision": "float32",
            "model.d_ff": 16,
            "model.n_prototypes": 20,
            "training.batch_size": 16,
            "training.epochs": 3,
            "training.validate_every": 4,
        }
    )
    model = build_model(config)
    prompter = model.branch.prompter
    texts, tokenise = [], prompter._tokenise
    prompter._tokenise = lambda own: texts.extend(own) or tokenise(own)
    prompts = []
    model.branch.register_forward_pre_hook(lambda _, inputs: prompts.append(inputs[1]))
    train_model(model, Sines(count=40), Sines(count=20, seed=1), config.training)
    assert len(texts) == 60
    assert len(prompts) > 9
    assert all(p is not None for p in prompts)


def test_cached_prompts_equal_new_ones_and_the_cache_is_bounded(tiny_backbones, monkeypatch):
    config = Config.parse(SMALL).replace(
        {"backbone.name": str(tiny_backbones["gpt2"]), "model.d_ff": 16, "model.n_prototypes": 20}
    )
    prompter, other = (build_model(config).branch.prompter for _ in range(2))
    z = torch.randn(30, 48, generator=torch.Generator().manual_seed(0))
    first = prompter(z)
    assert prompter(z) == first == other(z)
    assert prompter(z.flip(0)) == first[::-1]
    changed = z.clone()
    changed[3, 7] += 9.0
    rows = prompter(changed)
    assert [i for i in range(30) if rows[i] != first[i]] == [3]
    assert prompter(z[:0]) == []
    assert prompter(torch.cat([z[:2], z[:2]])) == first[:2] * 2

    monkeypatch.setattr("swt_time.language.prompter.KNOWN_PROMPT_BYTES", other._known_bytes)
    more = torch.randn(5, 48, generator=torch.Generator().manual_seed(1))
    assert other(more) == prompter(more)
    assert len(other._known) == 30
    assert other(more) == prompter(more)
