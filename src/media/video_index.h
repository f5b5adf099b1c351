// The packets of a clip, and which of them is frame i. Made by one pass over the container, without decoding.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "media/random_access.h"
#include "media/video_container.h"

namespace tessera::media {

/// One packet of the container, in the order they are stored (and decoded).
struct StoredPacket {
  int64_t pts = 0, dts = 0, pos = -1;  // dts and pos find the packet again
  int32_t frame = -1;                  // its number among the frames shown; -1: decoded, but not shown
  RandomAccess access = RandomAccess::none;
};

class VideoIndex {
 public:
  /// Reads the container from end to end. Throws UserError when frames have no time, or there are none or too many.
  VideoIndex(VideoContainer& container, const std::string& source);

  int64_t frames() const { return static_cast<int64_t>(order_.size()); }
  int64_t packets() const { return static_cast<int64_t>(packets_.size()); }
  const StoredPacket& packet(int64_t place) const { return packets_[static_cast<size_t>(place)]; }
  /// The packet of frame `number`.
  int64_t place_of(int64_t number) const { return order_[static_cast<size_t>(number)]; }
  /// The last packet that decoding of frame `number` can start at; the first packet where there is no better one.
  int64_t start_of(int64_t number) const;
  /// The last packet before `place` that decoding can start at, or the first packet.
  int64_t start_before(int64_t place) const;
  /// The first packet after `place` that decoding can start at; the number of packets where there is none.
  int64_t start_after(int64_t place) const;
  /// True when a decoder that started at `start` must not see packet `place`: it leans on what came before.
  bool is_leading(int64_t start, int64_t place) const;
  /// True when it takes decoding to say which frames the first packets give, and in which order.
  bool is_unsure() const { return packets_.front().access != RandomAccess::closed || untimed_ > 0; }
  /// True when times only ever grow from packet to packet. A codec that shows frames in another order than it decodes them in
  /// then has been given the wrong times, or does not make use of it.
  bool is_in_decoding_order() const;
  /// Numbers the frames of the packets before `end` anew: they are those of `seen`, packets in the order that a decoder
  /// gives them which begins with the file.
  void number_beginning(int64_t end, const std::vector<int64_t>& seen);

 private:
  void sort();
  void number();

  std::vector<StoredPacket> packets_;
  std::vector<int32_t> order_;   // packets by the numbers of their frames
  int64_t untimed_ = 0;          // packets up to the last one without a time
  std::vector<int32_t> starts_;  // packets that decoding can start at, ascending; the first packet always
};

}  // namespace tessera::media
