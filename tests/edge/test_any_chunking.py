"""However a stream is cut into packets, the listener hands on the same frames and says the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from referral_engine.channels.partner import Framing, Partner
from referral_engine.flow.inputs import Arrived
from tests.edge.peers import Peer, Wait
from tests.service.doubles import Bench, framed

MESSAGE = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|1|P|2.5.1\r"
PIECES = st.sampled_from(
    [
        framed(MESSAGE), framed(b"MSH|2"), framed(b""), b"\x0b", b"\x1c\r", b"\x1c", b"\r", b"\n", b"\x00", b"MSH|x", b"j",
        b"\xef\xbb\xbfMSH|", b"\x0b\x0b", b"\x1c\x00", b"GET / HTTP/1.1\r\n", b"\x0b\x00M\x00S\x00H",
    ]
)  # fmt: skip
FRAMINGS = st.sampled_from(
    [Framing(), Framing(missing_cr="refuse"), Framing(unwrap_doubled=True), Framing(trailer=b"\x1c\x00")]
)


@given(
    stream=st.lists(PIECES, max_size=20).map(b"".join),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    framing=FRAMINGS,
)
def test_any_chunking_gives_the_same_frames_and_the_same_answers(  # F-D05
    stream: bytes, sizes: list[int], framing: Framing
) -> None:
    def seen(packets: list[bytes]) -> tuple[object, ...]:
        bench = Bench(partners={"10.0.0.7": Partner(name="heart", framing=framing)})
        peer = Peer(bench)
        peer.play(*packets, Wait(1))
        frames = [one.raw for one in bench.step.committed if isinstance(one, Arrived)]
        return frames, peer.wire.value(), peer.ended, dict(bench.listener.counts.errors)

    packets, at, turn = list[bytes](), 0, 0
    while at < len(stream):
        packets.append(stream[at : at + sizes[turn % len(sizes)]])
        at, turn = at + sizes[turn % len(sizes)], turn + 1

    assert seen(packets) == seen([stream])
