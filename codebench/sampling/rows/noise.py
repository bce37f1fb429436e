"""Draw tokens with noise that belongs to the sample, not to its batch.

The noise of token `v` at position `t` of a sample is a hash of (seed of the sample, t, v); the
token is the argmax of logit + Gumbel noise, which draws from the softmax. There is no generator
state: a sample is the same in any batch, order, shard or restart.

Source: the Gumbel-max trick; the 32-bit mixer is Chris Wellons' "lowbias32".
"""

import torch

from codebench.sampling.completion import SamplingParams

_MASK_32 = 0xFFFFFFFF


def _mix(x: torch.Tensor) -> torch.Tensor:
    """Hash 32-bit numbers held in int64; the same bits on every device."""
    x = x & _MASK_32
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _MASK_32
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _MASK_32
    return x ^ (x >> 16)


def gumbel_noise(
    seeds: torch.Tensor, positions: torch.Tensor, token_ids: torch.Tensor
) -> torch.Tensor:
    """Return the noise of `token_ids` (B, K), given `seeds` and `positions` (B,); float64.

    Both halves of the seed meet the position in a mix of their own, so that two samples whose noise
    agrees at one position do not go on agreeing at the next.
    """
    low = _mix(seeds + positions * 0x9E3779B9)  # (B,)
    state = _mix(low ^ _mix((seeds >> 32) + positions * 0x85EBCA6B))  # (B,)
    bits = _mix(state[:, None] + _mix(token_ids * 0xC2B2AE35))  # (B, K)
    # 32 bits and a half lie strictly inside (0, 1) in float64: the noise is never infinite.
    uniform = (bits.double() + 0.5) * 2.0**-32
    return -torch.log(-torch.log(uniform))


def draw(
    logits: torch.Tensor, seeds: torch.Tensor, positions: torch.Tensor, params: SamplingParams
) -> torch.Tensor:
    """Draw one token per row: temperature, then top-k, then top-p, then the Gumbel argmax.

    Args:
        logits: (B, V), any float type.
        seeds: (B,) int64, the samples' seeds, 63 bits.
        positions: (B,) int64, number of the token in its completion, from 0.
        params: temperature 0 takes the likeliest token.

    Returns:
        Token ids, (B,) int64.
    """
    logits = logits.float()
    if params.temperature == 0:
        return logits.argmax(-1)
    n_ids = logits.shape[-1]
    if 0 < params.top_k < n_ids:
        scores, token_ids = torch.topk(logits, params.top_k, dim=-1)  # (B, K), likeliest first
    elif params.top_p < 1:
        scores, token_ids = torch.sort(logits, dim=-1, descending=True)
    else:
        scores, token_ids = logits, torch.arange(n_ids, device=logits.device).expand_as(logits)
    scores = scores.double() / params.temperature
    if params.top_p < 1:
        probabilities = torch.softmax(scores, dim=-1)
        before = probabilities.cumsum(-1) - probabilities
        scores = scores.masked_fill(before >= params.top_p, -torch.inf)
    winner = (scores + gumbel_noise(seeds, positions, token_ids)).argmax(-1, keepdim=True)
    return token_ids.gather(1, winner)[:, 0]
