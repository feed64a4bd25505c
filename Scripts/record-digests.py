"""Prints the digests that KernelsTests/SHA256Tests and ModelHubTests/ContentDigestTests compare with.

usage: python3 Scripts/record-digests.py     needs nothing but Python
"""

import hashlib

LENGTHS = [0, 1, 2, 3, 54, 55, 56, 57, 63, 64, 65, 111, 119, 120, 127, 128, 129, 1000, 4095, 4096, 4097, 65537]


def content(count: int) -> bytes:
    return bytes((i * 7 + i // 256 + 3) % 256 for i in range(count))


def main() -> None:
    print("SHA-256")
    for count in LENGTHS:
        print(f'    ({count}, "{hashlib.sha256(content(count)).hexdigest()}"),')
    everything = b"".join(hashlib.sha256(content(count)).digest() for count in range(321))
    print(f"SHA-256 of the digests of all lengths to 320: {hashlib.sha256(everything).hexdigest()}")
    print("Git's names")
    for count in LENGTHS:
        print(f'    ({count}, "{hashlib.sha1(b"blob %d" % count + bytes(1) + content(count)).hexdigest()}"),')


if __name__ == "__main__":
    main()
