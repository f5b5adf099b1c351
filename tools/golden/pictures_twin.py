"""Small files of every kind of picture, and the pixels that Pillow reads from them, for src/media/."""
import io
import struct
import zlib

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps, __version__

from golden import write_fixture

WIDTH, HEIGHT = 21, 13


def scene(mode="RGB", width=WIDTH, height=HEIGHT, shift=0):
    """Smooth colours with a sharp shape on them."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([x * 12 % 256, y * 19 % 256, (x + y) * 7 % 256], -1).astype(np.uint8)
    image = Image.fromarray(picture)
    ImageDraw.Draw(image).ellipse([3 + shift, 2, 10 + shift, 9], fill=(250, 60, 20))
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(((x * y * 5) % 256).astype(np.uint8)))
    return image.convert(mode)


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, depth, colour, interlaced=False, extra=b""):
    """A PNG of an integer array [H, W, C], of depth 8 or 16, written without Pillow (which writes no such files)."""
    height, width, channels = samples.shape
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)] if interlaced \
        else [(0, 0, 1, 1)]
    rows = b""
    for left, top, across, down in passes:
        part = samples[top::down, left::across]
        if part.size:
            rows += b"".join(b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in part)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pngs():
    generator = np.random.default_rng(5)
    deep = generator.integers(0, 65536, (HEIGHT, WIDTH, 4))
    palette = scene().quantize(16)
    yield "png.grey", saved(scene("L"), "PNG"), None
    yield "png.grey_alpha", saved(scene("LA"), "PNG"), None
    yield "png.bits", saved(scene("1"), "PNG"), None
    yield "png.palette", saved(palette, "PNG"), None
    yield "png.palette_alpha", saved(palette, "PNG", transparency=bytes(range(0, 256, 16))), None
    yield "png.grey_key", saved(scene("L"), "PNG", transparency=scene("L").getpixel((5, 5))), None
    yield "png.rgb_key", saved(scene(), "PNG", transparency=(250, 60, 20)), None
    yield "png.turned", saved(scene(), "PNG", exif=exif(6)), None
    # grey of 16 bits: Pillow's own conversion to RGB saturates, so the high byte is taken
    yield "png.grey16", png(deep[..., :1], 16, 0), (deep[..., :1] >> 8).repeat(3, -1)
    yield "png.rgb16", png(deep[..., :3], 16, 2), None
    yield "png.rgba16", png(deep, 16, 6), None
    yield "png.gamma", png(np.array(scene()), 8, 2, extra=chunk(b"gAMA", struct.pack(">I", 100000))), None
    yield "png.interlaced", png(np.array(scene("RGBA")), 8, 6, interlaced=True), None
    yield "png.interlaced_small", png(np.array(scene("RGB", 3, 2)), 8, 2, interlaced=True), None


def jpegs():
    yield "jpeg.halved", saved(scene(), "JPEG", quality=90), None
    yield "jpeg.full", saved(scene(), "JPEG", quality=90, subsampling=0), None
    yield "jpeg.progressive", saved(scene(), "JPEG", quality=85, progressive=True), None
    yield "jpeg.grey", saved(scene("L"), "JPEG", quality=90), None
    cmyk = saved(scene("CMYK"), "JPEG", quality=95)
    yield "jpeg.cmyk", cmyk, None
    adobe = cmyk.index(b"Adobe") + 11  # the transform: 0 is CMYK, 2 is YCCK
    assert cmyk[adobe] == 0
    yield "jpeg.ycck", cmyk[:adobe] + b"\2" + cmyk[adobe + 1:], None
    for orientation in range(1, 9):
        yield f"jpeg.turned{orientation}", saved(scene(), "JPEG", quality=90, exif=exif(orientation)), None


def webps():
    yield "webp.lossy", saved(scene(), "WEBP", quality=80), None
    yield "webp.lossless", saved(scene(), "WEBP", lossless=True), None
    yield "webp.lossy_alpha", saved(scene("RGBA"), "WEBP", quality=80), None
    yield "webp.lossless_alpha", saved(scene("RGBA"), "WEBP", lossless=True, exact=True), None
    yield "webp.turned", saved(scene(), "WEBP", lossless=True, exif=exif(8)), None


def sprites(count, mode, width=24, height=16):
    """A square that moves, in colours that change."""
    for i in range(count):
        frame = Image.new(mode, (width, height), (0, 0, 0, 0) if mode == "RGBA" else (240, 240, 200))
        ImageDraw.Draw(frame).rectangle([2 + 4 * i, 3, 8 + 4 * i, 9], fill=(40 * i, 200 - 30 * i, 90, 255)[:len(mode)])
        yield frame


def animations():
    still = scene().quantize(32)
    yield "gif.plain", saved(still, "GIF", interlace=0)
    yield "gif.interlaced", saved(still, "GIF", interlace=1)
    yield "gif.key", saved(still, "GIF", transparency=3)
    for disposal in range(4):
        for mode in ("RGB", "RGBA"):
            first, *rest = sprites(4, mode)
            yield (f"gif.dispose{disposal}_{mode.lower()}",
                   saved(first, "GIF", save_all=True, append_images=rest, disposal=disposal, duration=80))
    first, *rest = [scene(shift=i).quantize(20) for i in range(3)]
    yield "gif.local_palettes", saved(first, "GIF", save_all=True, append_images=rest, duration=50)
    for mode in ("RGB", "RGBA"):
        first, *rest = sprites(3, mode)
        yield (f"webp.moving_{mode.lower()}",
               saved(first, "WEBP", save_all=True, append_images=rest, duration=50, lossless=True))


def has_alpha(image):
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def main():
    tensors = {}

    def add(name, file, pixels):
        tensors[f"{name}.file"] = torch.from_numpy(np.frombuffer(file, np.uint8).copy())
        tensors[f"{name}.pixels"] = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.uint8))

    for makers in (pngs, jpegs, webps):
        for name, file, pixels in makers():
            if pixels is None:
                image = Image.open(io.BytesIO(file))
                mode = "RGBA" if has_alpha(image) else "RGB"
                pixels = np.array(ImageOps.exif_transpose(image).convert(mode))
            add(name, file, pixels)
    for name, file in animations():
        image = Image.open(io.BytesIO(file))
        frames = []
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.array(image.convert("RGBA")))
        add(name, file, np.stack(frames))
    write_fixture("pictures", tensors, pillow=__version__)


if __name__ == "__main__":
    main()
