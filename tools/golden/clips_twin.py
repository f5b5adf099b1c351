"""Tiny clips in every container, and the frames that PyAV decodes from them from start to end, for src/media/video.cc.

Each frame shows its own number: twelve squares, white for a bit that is set.
"""
import io
from fractions import Fraction

import av
import numpy as np
import torch

from golden import write_fixture

FULL = 0x4 | 0x2000 | 0x4000 | 0x40000 | 0x80000  # libswscale: bicubic, full chroma both ways, exact rounding, bit-exact
CELL, COLUMNS, ROWS = 16, 4, 3


def numbered(number, width=CELL * COLUMNS, height=CELL * ROWS):
    """RGB [height, width, 3]: bits of `number` on a ground whose colour changes slowly."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:] = (60 + number % 40, 90, 200 - number % 60)
    for bit in range(COLUMNS * ROWS):
        y, x = divmod(bit, COLUMNS)
        picture[y * CELL:(y + 1) * CELL, x * CELL:(x + 1) * CELL][2:-2, 2:-2] = 255 if number >> bit & 1 else 0
    return picture


def clip(kind, codec, count, rate=10, pixels="yuv420p", size=None, options=None, times=None, sound=False, full=False):
    """The bytes of a clip of `count` frames; `times` are the frames' times in units of 1/rate, when uneven."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=Fraction(rate).limit_denominator(100), options=options or {})
        stream.width, stream.height = size or (CELL * COLUMNS, CELL * ROWS)
        stream.pix_fmt = pixels
        stream.codec_context.thread_count = 1
        if full:
            stream.codec_context.color_range = 2
        time_base = Fraction(1, 1) / Fraction(rate).limit_denominator(100)
        stream.time_base = time_base
        voice = None
        if sound:
            voice = container.add_stream("aac", rate=8000)
            voice.layout = "mono"
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(numbered(i, stream.width, stream.height), format="rgb24")
            frame = frame.reformat(format=pixels, dst_color_range="JPEG" if full else None)
            frame.pts, frame.time_base = (times[i] if times else i), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if voice:
            for i in range(8):
                sound_frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                sound_frame.rate, sound_frame.pts = 8000, 1024 * i
                container.mux(voice.encode(sound_frame))
            container.mux(voice.encode())
    return buffer.getvalue()


def turned(mp4, matrix):
    """The same MP4 shown by another matrix (a, b, c, d), ISO 14496-12, 8.3.2."""
    at = mp4.index(b"tkhd") + 4 + 40
    a, b, c, d = (int(v * 65536).to_bytes(4, "big", signed=True) for v in matrix)
    return mp4[:at] + a + b + bytes(4) + c + d + mp4[at + 20:]


def clips():
    x264 = {"crf": "18", "preset": "medium", "g": "12", "bf": "3"}
    yield "mp4", clip("mp4", "libx264", 40, options=x264), (0, 7, 11, 12, 25, 39)
    yield "mov", clip("mov", "libx264", 20, options=x264, sound=True), (0, 19)
    yield "mkv_open", clip("matroska", "libx264", 40, options=x264 | {"x264-params": "open-gop=1:keyint=10:min-keyint=10"}), (0, 9, 10, 11, 39)
    yield "mp4_open", clip("mp4", "libx264", 40, options=x264 | {"x264-params": "open-gop=1:keyint=10:min-keyint=10"}), (9, 10, 11)
    yield "webm_vp8", clip("webm", "libvpx", 40, options={"auto-alt-ref": "1", "lag-in-frames": "16", "g": "20", "b": "200k"}), (0, 21, 39)
    yield "webm_vp9", clip("webm", "libvpx-vp9", 30, size=(65, 49), options={"auto-alt-ref": "1", "lag-in-frames": "16", "g": "15", "crf": "20", "b": "0"}), (0, 16, 29)
    yield "mp4_uneven", clip("mp4", "libx264", 20, options=x264, times=[i * i // 3 + i for i in range(20)]), (3, 13, 19)
    yield "mp4_444", clip("mp4", "libx264", 6, pixels="yuv444p", size=(65, 49), options=x264), (0, 5)
    yield "mp4_10bit", clip("mp4", "libx264", 6, pixels="yuv420p10le", options=x264), (0, 5)
    yield "mp4_full", clip("mp4", "libx264", 6, pixels="yuvj420p", options=x264, full=True), (0, 5)
    yield "mov_mjpeg", clip("mov", "mjpeg", 4, pixels="yuvj420p", full=True), (0, 3)
    # an hour, a frame every two seconds
    yield "mp4_hour", clip("mp4", "libx264", 1800, rate=Fraction(1, 2), options={"crf": "36", "preset": "medium", "g": "60", "bf": "2"}), ()


def decoded(file):
    with av.open(io.BytesIO(file)) as container:
        container.streams.video[0].thread_count = 1
        return [frame for frame in container.decode(video=0)]


def rgb(frame):
    full = frame.format.name.startswith("yuvj") or frame.color_range == 2
    return frame.reformat(format="rgb24", src_color_range="JPEG" if full else "MPEG", dst_color_range="JPEG",
                          interpolation=FULL).to_ndarray()


def number_in(picture):
    return sum(int(picture[y * CELL + 8, x * CELL + 8].mean() > 128) << (y * COLUMNS + x) for y in range(ROWS) for x in range(COLUMNS))


def main():
    tensors = {}
    for name, file, shown in clips():
        frames = decoded(file)
        assert all(number_in(rgb(f)) == i for i, f in enumerate(frames)), name
        print(name, len(file), "bytes", len(frames), "frames")
        tensors[f"{name}.file"] = torch.from_numpy(np.frombuffer(file, np.uint8).copy())
        tensors[f"{name}.count"] = torch.tensor([len(frames)])
        if shown:
            tensors[f"{name}.indexes"] = torch.tensor(shown)
            tensors[f"{name}.pixels"] = torch.from_numpy(np.stack([rgb(frames[i]) for i in shown]))
        if name == "mov_mjpeg":  # the eight ways to hold a camera
            for way, matrix in enumerate([(1, 0, 0, 1), (-1, 0, 0, 1), (-1, 0, 0, -1), (1, 0, 0, -1), (0, 1, 1, 0), (0, 1, -1, 0),
                                          (0, -1, -1, 0), (0, -1, 1, 0)], 1):
                tensors[f"turned.{way}.file"] = torch.from_numpy(np.frombuffer(turned(file, matrix), np.uint8).copy())
    write_fixture("clips", tensors, av=av.__version__)


if __name__ == "__main__":
    main()
