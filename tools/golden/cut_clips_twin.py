"""Clips that were cut without coding them anew, or whose groups of pictures are open, and the frames that PyAV shows of them.

For src/media/video_index.cc. Each frame shows its own number, as in clips_twin.py; what is stored of a clip is its bytes and
the numbers in the order PyAV decodes them from start to end.
"""
import io
import struct
from fractions import Fraction

import av
import numpy as np
import torch

from clips_twin import clip, decoded, number_in, numbered, rgb
from golden import write_fixture

X264 = {"crf": "24", "preset": "veryfast", "bf": "3"}
OPEN = "open-gop=1:keyint={0}:min-keyint={0}:scenecut=0:threads=1"


def cut(kind, codec, count, first, options, sound=False):
    """A clip of `count` frames of which only the packets from the last key frame up to frame `first` on are stored. Frame
    `first` is at time 0: in MP4 and MOV an edit list hides what is before it, as `ffmpeg -ss TIME -i CLIP -c copy` writes it."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 64 if codec == "libsvtav1" else 48, "yuv420p"
        stream.codec_context.thread_count = 1
        voice = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        packets = []
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(numbered(i, stream.width, stream.height), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            packets += stream.encode(frame)
        packets += stream.encode()
        tick = Fraction(1, 10) / packets[0].time_base
        begin = max(i for i, p in enumerate(packets) if p.is_keyframe and p.pts <= first * tick)
        for packet in packets[begin:]:
            packet.pts, packet.dts = packet.pts - int(first * tick), packet.dts - int(first * tick)
            container.mux(packet)
        for i in range(8 if sound else 0):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.rate, frame.pts = 8000, 1024 * i
            container.mux(voice.encode(frame))
        if sound:
            container.mux(voice.encode())
    return buffer.getvalue()


def box(data, path, at=0):
    """Where the box of this path begins, and its size."""
    for name in path:
        while data[at + 4:at + 8] != name:
            at += struct.unpack(">I", data[at:at + 4])[0]
        found, size = at, struct.unpack(">I", data[at:at + 4])[0]
        at += 8
    return found, size


def edited(mp4, edits):
    """The same MP4, its movie box last, with these edits: (frames of 1/10 s shown, first frame of the media or -1 for nothing)."""
    movie, _ = box(mp4, [b"moov"])
    scale = struct.unpack(">I", mp4[box(mp4, [b"moov", b"mvhd"])[0] + 20:][:4])[0]
    media = struct.unpack(">I", mp4[box(mp4, [b"moov", b"trak", b"mdia", b"mdhd"])[0] + 20:][:4])[0]
    start, size = box(mp4, [b"moov", b"trak", b"edts"])
    delay = struct.unpack(">i", mp4[start + 8 + 20:][:4])[0]  # composition time of the first frame
    rows = b"".join(struct.pack(">IiI", shown * scale // 10, -1 if first < 0 else delay + first * media // 10, 0x10000) for shown, first in edits)
    table = struct.pack(">I4sII", 16 + len(rows), b"elst", 0, len(edits)) + rows
    table = struct.pack(">I4s", 8 + len(table), b"edts") + table
    track, _ = box(mp4, [b"moov", b"trak"])
    grown = bytearray(mp4[:start] + table + mp4[start + size:])
    for at in (movie, track):
        struct.pack_into(">I", grown, at, struct.unpack(">I", mp4[at:at + 4])[0] + len(table) - size)
    return bytes(grown)


def clips():
    closed = {
        "h264": ("libx264", X264 | {"g": "25"}),
        "hevc": ("libx265", {"crf": "26", "preset": "veryfast", "x265-params": "keyint=25:min-keyint=25:log-level=none:open-gop=0"}),
        "vp9": ("libvpx-vp9", {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "25", "crf": "30", "b": "0"}),
        "av1": ("libsvtav1", {"preset": "10", "crf": "40", "g": "25"}),
    }
    for name, (codec, options) in closed.items():
        mov = "mov" if codec.startswith("libx26") else "mp4"
        yield f"hidden_{name}", cut("mp4", codec, 50, 11, options)
        yield f"hidden_second_{name}", cut(mov, codec, 45, 33, options)
    yield "hidden_sound", cut("mov", "libx264", 40, 17, X264 | {"g": "12"}, sound=True)
    plain = clip("mp4", "libx264", 50, options=X264 | {"g": "25"})
    yield "edits", edited(plain, [(5, -1), (9, 11), (12, 30)])
    yield "edits_again", edited(plain, [(10, 30), (10, 5), (10, 30)])
    for length, interval in ((62, 12), (51, 25), (53, 25), (99, 50), (64, 250)):
        options = X264 | {"x264-params": OPEN.format(interval)}
        yield f"open_h264_{length}_{interval}", clip("mp4", "libx264", length, options=options)
    hevc = {"preset": "veryfast", "crf": "26", "x265-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0:log-level=none"}
    yield "open_hevc_62_12", clip("mp4", "libx265", 62, options=hevc)
    refresh = X264 | {"x264-params": "intra-refresh=1:keyint=25:threads=1"}
    yield "refresh", clip("mp4", "libx264", 70, options=refresh)
    yield "refresh_cut", cut("mp4", "libx264", 70, 40, refresh)
    broad = X264 | {"x264-params": OPEN.format(12)}
    yield "open_cut", cut("mp4", "libx264", 50, 17, broad)
    yield "open_cut_mkv", cut("matroska", "libx264", 50, 17, broad)
    yield "open_hevc_cut", cut("mp4", "libx265", 50, 17, hevc)


def main():
    tensors = {}
    for name, file in clips():
        numbers = [number_in(rgb(frame)) for frame in decoded(file)]
        print(name, len(file), "bytes", numbers)
        tensors[f"{name}.file"] = torch.from_numpy(np.frombuffer(file, np.uint8).copy())
        tensors[f"{name}.numbers"] = torch.tensor(numbers)
    write_fixture("cut_clips", tensors, av=av.__version__)


if __name__ == "__main__":
    main()
