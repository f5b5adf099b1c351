// How pictures are turned upright: Exif, XMP and the texts of PNG that hold them, with the values of Pillow's exif_transpose.
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include <webp/encode.h>
#include <zlib.h>

#include "media/decoders.h"
#include "media/png.h"
#include "media/read_media.h"

namespace tessera::media {
namespace {

Image stored_picture() {
  Image picture(5, 3, 3);
  for (size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = static_cast<uint8_t>(5 * i);
  return picture;
}

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

std::string exif_block(int orientation, int tag = 0x12) {
  std::string bytes("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0", 26);
  bytes[10] = static_cast<char>(tag);
  bytes[18] = static_cast<char>(orientation);
  return bytes;
}

std::string xmp_attribute(int n) { return "<rdf:Description tiff:Orientation=\"" + std::to_string(n) + "\"/>"; }
std::string xmp_element(int n) {
  return "<x:xmpmeta><tiff:Orientation>" + std::to_string(n) + "</tiff:Orientation></x:xmpmeta>";
}

std::string raw_text(const std::string& bytes) {
  std::string text = "\nexif\n      26\n";
  for (size_t i = 0; i < bytes.size(); ++i) {
    constexpr char digits[] = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(bytes[i]);
    text += std::string{digits[byte >> 4], digits[byte & 15]} + (i % 36 == 35 ? "\n" : "");
  }
  return text + "\n";
}

std::string packed(const std::string& text) {
  uLongf size = compressBound(text.size());
  std::string bytes(size, '\0');
  compress(reinterpret_cast<Bytef*>(bytes.data()), &size, reinterpret_cast<const Bytef*>(text.data()), text.size());
  return bytes.substr(0, size);
}

struct PngChunk {
  std::string kind, data;
};
PngChunk plain_text(const std::string& name, const std::string& text) { return {"tEXt", name + '\0' + text}; }
PngChunk packed_text(const std::string& name, const std::string& text) {
  return {"zTXt", name + '\0' + '\0' + packed(text)};
}
PngChunk wide_text(const std::string& name, const std::string& text) {
  return {"iTXt", name + std::string(5, '\0') + text};
}
PngChunk packed_wide_text(const std::string& name, const std::string& text) {
  return {"iTXt", name + std::string("\0\x01\0\0\0", 5) + packed(text)};
}

/// A PNG with these chunks before its pixels or behind them.
std::string png_with(const std::vector<PngChunk>& chunks, bool behind = false) {
  std::string png = encode_png(stored_picture()), inserted;
  for (const auto& [kind, data] : chunks) {
    const std::string body = kind + data;
    inserted += big_endian(static_cast<uint32_t>(data.size())) + body +
                big_endian(static_cast<uint32_t>(
                    crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
  }
  return png.insert(png.find(behind ? "IEND" : "IDAT") - 4, inserted);
}

void expect_turned(const std::string& file, int orientation, const std::string& what) {
  EXPECT_TRUE(decode_image(file, what) == oriented(stored_picture(), orientation)) << what << " " << orientation;
}

TEST(Orientation, OfAPngStandsInItsChunkOrInTextsOfEveryKind) {
  const std::string raw = "Raw profile type exif", xmp = "XML:com.adobe.xmp", app1 = "Raw profile type APP1";
  using Text = std::function<PngChunk(const std::string&, const std::string&)>;
  const std::vector<Text> texts{plain_text, packed_text, wide_text, packed_wide_text};
  for (int n = 0; n <= 9; ++n) {
    const int right = n >= 1 && n <= 8 ? n : 1;
    expect_turned(png_with({{"eXIf", exif_block(n)}}), right, "eXIf");
    for (const bool behind : {false, true}) {
      for (const Text& text : texts) {
        expect_turned(png_with({text(raw, raw_text(exif_block(n)))}, behind), right, raw);
        expect_turned(png_with({text(raw, raw_text(std::string("Exif\0\0", 6) + exif_block(n)))}, behind), right, raw);
        expect_turned(png_with({text(app1, raw_text(std::string("Exif\0\0", 6) + exif_block(n)))}, behind), right,
                      app1);
        expect_turned(png_with({text(xmp, xmp_attribute(n))}, behind), right, xmp);
        expect_turned(png_with({text(xmp, xmp_element(n))}, behind), right, xmp);
      }
    }
  }
}

/// A WebP of the extended format (flags of its first chunk: 8 Exif, 4 XMP) with these chunks behind its pixels.
std::string webp_with(const std::vector<PngChunk>& chunks) {
  const Image picture = stored_picture();
  uint8_t* bytes = nullptr;
  const size_t size =
      WebPEncodeLosslessRGB(picture.pixels.data(), static_cast<int>(picture.width), static_cast<int>(picture.height),
                            static_cast<int>(picture.width * 3), &bytes);
  const auto little_endian = [](size_t value) {
    std::string text;
    for (int i = 0; i < 4; ++i) text += static_cast<char>(value >> (8 * i));
    return text;
  };
  std::string body = std::string("WEBPVP8X\x0A\0\0\0\x0C\0\0\0\x04\0\0\x02\0\0", 22) +
                     std::string(reinterpret_cast<char*>(bytes) + 12, size - 12);
  WebPFree(bytes);
  for (const auto& [kind, data] : chunks)
    body += kind + little_endian(data.size()) + data + std::string(data.size() % 2, '\0');
  return "RIFF" + little_endian(body.size()) + body;
}

TEST(Orientation, OfAWebpStandsInItsExifOrXmp) {
  for (int n = 0; n <= 9; ++n) {
    const int right = n >= 1 && n <= 8 ? n : 1;
    expect_turned(webp_with({{"EXIF", exif_block(n)}}), right, "Exif");
    expect_turned(webp_with({{"XMP ", xmp_attribute(n)}}), right, "XMP");
    expect_turned(webp_with({{"XMP ", xmp_element(n)}}), right, "XMP");
    expect_turned(webp_with({{"EXIF", exif_block(n)}, {"XMP ", xmp_element(6)}}), right, "both");
  }
}

TEST(Orientation, OfExifCountsBeforeThatOfXmp) {
  EXPECT_EQ(orientation_of(exif_block(3), xmp_attribute(6)), 3);
  EXPECT_EQ(orientation_of(exif_block(1), xmp_attribute(6)), 1);
  EXPECT_EQ(orientation_of(exif_block(0), xmp_attribute(6)), 1) << "there is one, if none of the eight";
  EXPECT_EQ(orientation_of(exif_block(3, 0x13), xmp_attribute(6)), 6) << "Exif without the tag";
  EXPECT_EQ(orientation_of("no Exif at all", xmp_element(6)), 6);
  EXPECT_EQ(orientation_of("", xmp_attribute(6) + xmp_attribute(3)), 6) << "the first";
  EXPECT_EQ(orientation_of("", "tiff:Orientation='6'"), 1);
  EXPECT_EQ(orientation_of("", "tiff:Orientation=\""), 1);
  EXPECT_EQ(orientation_of("", ""), 1);
  expect_turned(png_with({packed_text("Raw profile type exif", raw_text(exif_block(6))), {"eXIf", exif_block(3)}}), 3,
                "both");
}

TEST(Orientation, RawProfilesAreHexadecimalDigitsAfterThreeLines) {
  EXPECT_EQ(raw_profile(raw_text(exif_block(6))), exif_block(6));
  EXPECT_EQ(raw_profile("\nexif\n 2\n4A 4b\r\n"), "JK");
  EXPECT_EQ(raw_profile("\nexif\n 2\n4A4"), "") << "half a byte";
  EXPECT_EQ(raw_profile("\nexif\n 2\nno digits"), "");
  EXPECT_EQ(raw_profile("\nexif\n"), "");
  EXPECT_EQ(raw_profile(""), "");
}

}  // namespace
}  // namespace tessera::media
