"""Reversible instance normalisation: statistics, round trip, and independence of the rows of a batch."""

import torch

from swt_time.model.normalize import denormalize, normalize


def batch():
    return 5 + 3 * torch.randn(4, 20, 2, generator=torch.Generator().manual_seed(0))


def test_statistics_are_those_of_each_window_and_channel():
    x = batch()
    z, scale = normalize(x)
    assert z.shape == (4, 2, 20)
    for b in range(4):
        for n in range(2):
            row = x[b, :, n]
            std = (row.var(correction=0) + 1e-5).sqrt()
            torch.testing.assert_close(scale.mean[b, n, 0], row.mean())
            torch.testing.assert_close(scale.std[b, n, 0], std)
            torch.testing.assert_close(z[b, n], (row - row.mean()) / std)


def test_denormalize_undoes_normalize():
    x = batch()
    torch.testing.assert_close(denormalize(*normalize(x)), x)


def test_a_constant_window_becomes_zero():
    z, scale = normalize(torch.full((1, 20, 1), 7.0))
    assert (z == 0).all()
    assert torch.equal(denormalize(z, scale), torch.full((1, 20, 1), 7.0))


def test_a_row_has_the_same_bits_alone_and_in_a_batch():
    x = batch()
    z, _ = normalize(x)
    assert z.is_contiguous()
    assert torch.equal(normalize(x[2:3])[0], z[2:3])
    assert torch.equal(normalize(x[..., 1:])[0], z[:, 1:])


def test_statistics_carry_no_gradient():
    x = batch().requires_grad_()
    z, scale = normalize(x)
    assert not scale.mean.requires_grad
    assert not scale.std.requires_grad
    z.sum().backward()
    torch.testing.assert_close(x.grad, (1 / scale.std).transpose(1, 2).expand_as(x))
