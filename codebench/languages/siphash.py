"""SipHash-2-4, as `std::hash::SipHasher` of Rust computes it.

Source: Aumasson and Bernstein 2012, "SipHash: a fast short-input PRF".
"""

_MASK = (1 << 64) - 1


def siphash(key: tuple[int, int], data: bytes) -> int:
    """Return the 64-bit hash of `data` under a key of two 64-bit numbers."""
    k0, k1 = key
    state = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 0xFF])
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        state[3] ^= word
        _mix(state, rounds=2)
        state[0] ^= word
    state[2] ^= 0xFF
    _mix(state, rounds=4)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _mix(state: list[int], *, rounds: int) -> None:
    a, b, c, d = state
    for _ in range(rounds):
        a = (a + b) & _MASK
        b = (b << 13 | b >> 51) & _MASK ^ a
        a = (a << 32 | a >> 32) & _MASK
        c = (c + d) & _MASK
        d = (d << 16 | d >> 48) & _MASK ^ c
        a = (a + d) & _MASK
        d = (d << 21 | d >> 43) & _MASK ^ a
        c = (c + b) & _MASK
        b = (b << 17 | b >> 47) & _MASK ^ c
        c = (c << 32 | c >> 32) & _MASK
    state[:] = a, b, c, d
