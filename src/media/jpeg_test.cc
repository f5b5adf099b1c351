// JPEGs as phones and cameras write them: odd headers and stray bytes that cost no pixel are read, lost pixels are named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/error.h"
#include "core/rng.h"
#include "media/decoders.h"
#include "media/read_media.h"
#include "media/testing.h"

namespace tessera::media {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using testing::JpegKind;

/// A picture of 48x32 pixels with noise in it.
std::string written_jpeg(const JpegKind& kind) {
  Image picture(48, 32, 3);
  Rng rng(7);
  for (size_t i = 0; i < picture.pixels.size(); ++i)
    picture.pixels[i] = static_cast<uint8_t>(i % 144 + static_cast<size_t>(rng.below(60)));
  return testing::jpeg_bytes(picture, kind);
}

/// Where the n-th marker of this kind stands.
size_t marker(const std::string& file, int kind, int nth = 0) {
  const std::string bytes{'\xFF', static_cast<char>(kind)};
  size_t at = file.find(bytes);
  for (; nth > 0; --nth) at = file.find(bytes, at + 2);
  EXPECT_NE(at, std::string::npos) << kind;
  return at;
}

std::string with(std::string file, size_t at, const std::string& inserted) { return file.insert(at, inserted); }

std::string with_byte(std::string file, size_t at, int value) {
  file[at] = static_cast<char>(value);
  return file;
}

/// "read", or why not.
std::string outcome(const std::string& file, const Image& want) {
  try {
    return decode_image(file, "cat.jpg") == want ? "read" : "other pixels";
  } catch (const UserError& error) {
    return error.what();
  }
}

const std::vector<std::string> kStray = {std::string(1, '\0'),
                                         "\xFF",
                                         "\xFF\xFF\xFF",
                                         std::string("\xFF\0", 2),
                                         std::string(9, '\0'),
                                         "\x12",
                                         std::string("\x12\xFF\0\x34", 4),
                                         "\x80\x81\x82"};

TEST(Jpeg, ScanParametersOfPhonesAreNoDamage) {
  for (const JpegKind kind : {JpegKind{}, JpegKind{.restart = 2}}) {
    const std::string file = written_jpeg(kind);
    const Image want = decode_image(file, "unchanged");
    const size_t parameters = marker(file, 0xDA) + 2 + 3 + 2 * 3;  // length, number of components, two bytes of each
    ASSERT_EQ(file[parameters + 1], 63);
    for (const int value : {0, 1, 5, 62, 64, 255}) {
      EXPECT_EQ(outcome(with_byte(file, parameters, value), want), "read") << "Ss " << value;
      EXPECT_EQ(outcome(with_byte(file, parameters + 1, value), want), "read") << "Se " << value;
      EXPECT_EQ(outcome(with_byte(file, parameters + 2, value), want), "read") << "Ah, Al " << value;
    }
  }
}

TEST(Jpeg, StrayAndFillBytesBetweenSegmentsAreNoDamage) {
  for (const JpegKind kind : {JpegKind{}, JpegKind{.progressive = true}, JpegKind{.restart = 2}}) {
    const std::string file = written_jpeg(kind);
    const Image want = decode_image(file, "unchanged");
    for (const int segment : {0xDB, 0xC4, kind.progressive ? 0xC2 : 0xC0, 0xDA, 0xD9}) {
      for (const std::string& stray : kStray)
        EXPECT_EQ(outcome(with(file, marker(file, segment), stray), want), "read") << segment << " " << stray;
    }
  }
}

TEST(Jpeg, StrayAndFillBytesBeforeRestartMarkersAreNoDamage) {
  const std::string file = written_jpeg({.restart = 1});
  const Image want = decode_image(file, "unchanged");
  for (const std::string& stray : kStray) {
    std::string all = file;
    for (int n = 0; n < 5; ++n) {  // of six parts
      const size_t at = marker(file, 0xD0 + n);
      EXPECT_EQ(outcome(with(file, at, stray), want), "read") << n << " " << stray;
      all = with(all, marker(all, 0xD0 + n), stray.substr(0, 1));
    }
    EXPECT_EQ(outcome(all, want), "read") << stray;
  }
}

TEST(Jpeg, AMissingEndMarkerAndWhatFollowsThePictureAreNoDamage) {
  for (const JpegKind kind : {JpegKind{}, JpegKind{.restart = 2}, JpegKind{.progressive = true}}) {
    const std::string file = written_jpeg(kind), cut = file.substr(0, file.size() - 2);
    const Image want = decode_image(file, "unchanged");
    EXPECT_EQ(outcome(cut, want), "read");
    EXPECT_EQ(outcome(file + "a clip of ten megabytes", want), "read");
    const std::string trailer("\0\0\x01\x0aSEFT\xFF\x02", 10);  // of a phone's panoramas
    if (!kind.progressive) {
      EXPECT_EQ(outcome(cut + trailer, want), "read");
    }
  }
}

TEST(Jpeg, HeadersThatOnlyWarnAreNoDamage) {
  const std::string file = written_jpeg({});
  const Image want = decode_image(file, "unchanged");
  EXPECT_EQ(outcome(with_byte(file, 11, 9), want), "read") << "JFIF of a later release";
  const std::string adobe(
      "\xFF\xEE\0\x0E"
      "Adobe\0\x64\0\0\0\0\x09",
      16);
  EXPECT_EQ(outcome(file.substr(0, 2) + adobe + file.substr(20), want), "read") << "an unknown transform of Adobe's";
  EXPECT_EQ(outcome(with(file, 20,
                         std::string("\xFF\xFE\0\x04"
                                     "12345",
                                     9)),
                    want),
            "read")
      << "a comment longer than told";
}

std::string application_segment(const std::string& data) {
  const size_t length = data.size() + 2;
  return "\xFF\xE1" + std::string{static_cast<char>(length >> 8), static_cast<char>(length)} + data;
}

TEST(Jpeg, TheOrientationInXmpCountsWhereExifHasNone) {
  const std::string file = written_jpeg({});
  const Image stored = decode_image(file, "unchanged");
  const std::string heading("http://ns.adobe.com/xap/1.0/\0", 29);
  for (int n = 1; n <= 8; ++n) {
    const std::string attribute = "<rdf:Description tiff:Orientation=\"" + std::to_string(n) + "\"/>";
    const std::string element = "<tiff:Orientation>" + std::to_string(n) + "</tiff:Orientation>";
    std::string exif("Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0", 28);
    exif[25] = static_cast<char>(n);
    for (const std::string& xmp : {attribute, element})
      EXPECT_EQ(outcome(with(file, 20, application_segment(heading + xmp)), oriented(stored, n)), "read") << n;
    const std::string other = application_segment(heading + "<tiff:Orientation>7</tiff:Orientation>");
    EXPECT_EQ(outcome(with(file, 20, other + application_segment(exif)), oriented(stored, n)), "read") << n;
    const std::string halves =
        application_segment(exif.substr(0, 20)) + application_segment(exif.substr(0, 6) + exif.substr(20));
    EXPECT_EQ(outcome(with(file, 20, halves), oriented(stored, n)), "read") << n << " in two segments";
  }
}

TEST(Jpeg, ARestartMarkerOfAnotherNumberInItsPlaceLosesNothing) {
  const std::string file = written_jpeg({.restart = 1});
  const Image want = decode_image(file, "unchanged");
  EXPECT_EQ(outcome(with_byte(file, marker(file, 0xD1) + 1, 0xD5), want), "read");
  EXPECT_THAT(outcome(with_byte(file, marker(file, 0xD1) + 1, 0xD2), want), HasSubstr("instead of RST1"));
}

TEST(Jpeg, LostPixelsAreNamed) {
  const std::string file = written_jpeg({.restart = 1}), progressive = written_jpeg({.progressive = true});
  const Image want = decode_image(file, "unchanged");
  const size_t second = marker(file, 0xD1), third = marker(file, 0xD2);
  const std::string damaged = "[media] cat.jpg is a damaged JPEG: ";
  EXPECT_THAT(outcome(std::string(file).erase(second, third - second), want), StartsWith(damaged)) << "a part is gone";
  EXPECT_THAT(outcome(std::string(file).erase(third - 20, 20), want), StartsWith(damaged)) << "a part is cut short";
  EXPECT_THAT(outcome(std::string(file).erase(second, 2), want), StartsWith(damaged)) << "two parts run together";
  EXPECT_THAT(outcome(file.substr(0, file.size() - 30), want), HasSubstr("premature end"));
  const std::string end = "\xFF\xD9";
  const size_t last = marker(progressive, 0xDA, 3);
  EXPECT_THAT(outcome(progressive.substr(0, last) + end, want), HasSubstr("it ends before its last scan"));
  EXPECT_THAT(outcome(progressive.substr(0, last), want), HasSubstr("it ends before its last scan"));
}

}  // namespace
}  // namespace tessera::media
