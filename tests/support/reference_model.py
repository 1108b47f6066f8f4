"""Reference implementation of Time-LLM and its wavelet fork, written from the formulas; slow.

It does not use swt_time. It loops over series and heads, and computes every softmax, convolution and normalisation
explicitly, in the dtype of the input. Only the frozen transformer is called as a module.
"""

import math

import numpy as np
import pywt
import torch


def normalise(x):
    """RevIN of one series: zero mean, unit standard deviation, epsilon 1e-5 under the root.

    Uses PyTorch's reductions, because the prompt prints every digit: a difference in the last bit changes the tokens.
    """
    x = x.contiguous()
    mean = x.mean()
    std = torch.sqrt(x.var(unbiased=False) + 1e-5)
    return (x - mean) / std, mean.detach(), std.detach()


def plain_patches(z, patch_len, stride):
    """Repeat the last value for one stride, then extract patches: (P, patch_len)."""
    longer = torch.cat([z, z[-1:].repeat(stride)])
    count = (len(z) - patch_len) // stride + 2
    return torch.stack([longer[p * stride : p * stride + patch_len] for p in range(count)])


def periodic_swt_matrix(length, wavelet, level):
    """The periodic SWT as a (K * T, T) matrix, column by column from PyWavelets, bands [A_J, D_J, ..., D_1]."""
    padded = math.ceil(length / 2**level) * 2**level
    assert padded == length, "PyWavelets requires a length divisible by 2**level"
    columns = [
        np.stack(pywt.swt(np.eye(length)[n], wavelet, level, trim_approx=True)).reshape(-1) for n in range(length)
    ]
    return torch.tensor(np.stack(columns, axis=1))


def wavelet_patches(z, patch_len, stride, wavelet, level, pad):
    """Patches of all bands, features time-major then band: (P, patch_len * K)."""
    bands = (periodic_swt_matrix(len(z), wavelet, level).to(z.dtype) @ z).reshape(level + 1, len(z))
    if pad == "coefficient":
        longer = torch.cat([bands, bands[:, -1:].repeat(1, stride)], dim=1)
    else:
        longer = torch.cat([bands, bands[:, :stride]], dim=1)  # the bands of the periodic transform are periodic
    count = (len(z) - patch_len) // stride + 2
    return torch.stack([longer[:, p * stride : p * stride + patch_len].T.reshape(-1) for p in range(count)])


def linear(weights, name, x):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def reprogram(weights, tokens, prototypes, n_heads):
    """Cross-attention, computed head by head; tokens (P, D), prototypes (S, L) -> (P, L)."""
    prefix = "branch.reprogram."
    queries = linear(weights, prefix + "query_projection", tokens)
    keys = linear(weights, prefix + "key_projection", prototypes)
    values = linear(weights, prefix + "value_projection", prototypes)
    width = queries.shape[1] // n_heads
    heads = []
    for h in range(n_heads):
        part = slice(h * width, (h + 1) * width)
        scores = queries[:, part] @ keys[:, part].T / math.sqrt(width)
        weight = torch.exp(scores - scores.max(dim=1, keepdim=True).values)
        heads.append(weight / weight.sum(dim=1, keepdim=True) @ values[:, part])
    return linear(weights, prefix + "out_projection", torch.cat(heads, dim=1))


def paper_prompt(z, description, context, horizon):
    """The prompt of Time-LLM, including its malformed end tag.

    The lags are those of the FFT, checked against a circular autocorrelation computed directly in float64.
    """
    x = z.detach().double().numpy()
    correlation = np.array([np.dot(x, np.roll(x, lag)) for lag in range(len(x))])
    # Lags k and T - k are equal up to rounding, and the order of the FFT depends on it, so sorted values are compared.
    spectrum = torch.fft.rfft(z.detach())
    lags = torch.topk(torch.fft.irfft(spectrum * spectrum.conj()), 5).indices.tolist()
    best = np.sort(correlation)[::-1][:5]
    assert np.allclose(np.sort(correlation[lags])[::-1], best, rtol=1e-4)
    lowest, highest = min(z.tolist()), max(z.tolist())
    median = sorted(z.tolist())[(len(z) - 1) // 2]
    trend = "upward" if z[-1] > z[0] else "downward"
    return (
        f"<|start_prompt|>Dataset description: {description}Task description: forecast the next {horizon} steps given "
        f"the previous {context} steps information; Input statistics: min value {lowest}, max value {highest}, "
        f"median value {median}, the trend of input is {trend}, top 5 lags are : {lags}<|<end_prompt>|>"
    )


def forecast(weights, context, *, transformer, tokenizer, embedding, options):
    """Forecast one window, (T, N) to (H, N), one series at a time, prompt and patches in one unpadded sequence."""
    columns = []
    for x in context.T:
        z, mean, std = normalise(x)
        if embedding == "patch":
            features = plain_patches(z, options["patch_len"], options["stride"])
            kernel = weights["embed.projection.weight"]
            tokens = circular_convolution(features, kernel) if kernel.shape[-1] == 3 else features @ kernel[..., 0].T
        else:
            features = wavelet_patches(
                z,
                options["patch_len"],
                options["stride"],
                options["wavelet"],
                options["level"],
                options["pad"],
            )
            tokens = features @ weights["embed.projection.weight"].T
        vocabulary = transformer.get_input_embeddings().weight
        mapping = weights["branch.prototypes.mapping.weight"], weights["branch.prototypes.mapping.bias"]
        prototypes = mapping[0] @ vocabulary + mapping[1][:, None]
        tokens = reprogram(weights, tokens, prototypes, options["n_heads"])
        text = paper_prompt(z, options["description"], len(x), options["horizon"])
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        sequence = torch.cat([transformer.get_input_embeddings()(ids), tokens[None]], dim=1)
        hidden = transformer(inputs_embeds=sequence).last_hidden_state[0, -len(tokens) :, : options["d_ff"]]
        columns.append(linear(weights, "head.linear", hidden.T.reshape(-1)) * std + mean)
    return torch.stack(columns, dim=1)


def circular_convolution(features, kernel):
    """Circular convolution of width 3 over the patches: features (P, R), kernel (D, R, 3) -> (P, D)."""
    count = len(features)
    return torch.stack([sum(kernel[:, :, k] @ features[(p + k - 1) % count] for k in range(3)) for p in range(count)])
