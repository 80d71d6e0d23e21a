"""Signals sent in the middle of a training step."""

import signal

import torch


def signal_in_step(monkeypatch, step, *numbers):
    """Send signals after the weights were updated, but before their average and the schedule are."""
    plain, steps = torch.optim.AdamW.step, []

    def signalled(*arguments, **options):
        plain(*arguments, **options)
        steps.append(0)
        if len(steps) == step:
            for number in numbers:
                signal.raise_signal(number)

    monkeypatch.setattr(torch.optim.AdamW, "step", signalled)
