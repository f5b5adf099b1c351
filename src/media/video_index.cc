// Frames are numbered by time among the packets that are shown; packets keep their place in the file.
#include "media/video_index.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "core/error.h"
#include "media/decoders.h"

namespace tessera::media {

namespace {
constexpr int64_t kUntimed = std::numeric_limits<int64_t>::min() / 2;  // Matroska's times before 0 are not told
}  // namespace

VideoIndex::VideoIndex(VideoContainer& container, const std::string& source) {
  const Packet packet(av_packet_alloc());
  if (!packet) throw FaultError("[media] libav does not start: out of memory");
  while (container.next(*packet)) {
    const int64_t pts = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
    if (packets() == max_stored_frames) {
      throw UserError("[media] {} holds too many frames; want at most {}", source, max_stored_frames);
    }
    StoredPacket& stored = packets_.emplace_back(StoredPacket{.pts = pts, .dts = packet->dts, .pos = packet->pos});
    if (pts == AV_NOPTS_VALUE) {
      stored.pts = kUntimed + packets();
      untimed_ = packets();
    }
    stored.access = random_access(*container.stream().codecpar, *packet);
    if (container.is_shown(*packet)) order_.push_back(static_cast<int32_t>(packets() - 1));
    if (packets() == 1 || stored.access != RandomAccess::none) starts_.push_back(static_cast<int32_t>(packets() - 1));
  }
  if (order_.empty()) throw UserError("[media] {} is a clip without a frame", source);
  if (untimed_ > start_after(start_after(0)))
    throw UserError("[media] {} is a damaged clip: a frame has no time", source);
  sort();
  number();
}

/// By time, but never across a packet that starts everything anew or one that an edit list goes back to: times of several
/// edits may overlap.
void VideoIndex::sort() {
  const auto earlier = [&](int32_t a, int32_t b) { return packets_[a].pts < packets_[b].pts; };
  auto first = order_.begin();
  for (size_t place = 1; place <= packets_.size(); ++place) {
    const bool ends = place == packets_.size();
    const bool goes_back =
        !ends && packets_[place].dts != AV_NOPTS_VALUE && packets_[place].dts < packets_[place - 1].dts;
    if (!ends && !goes_back && packets_[place].access != RandomAccess::closed) continue;
    const auto last = std::lower_bound(first, order_.end(), static_cast<int32_t>(place));
    std::stable_sort(first, last, earlier);
    first = last;
  }
}

void VideoIndex::number() {
  for (StoredPacket& each : packets_) each.frame = -1;
  for (size_t i = 0; i < order_.size(); ++i) packets_[order_[i]].frame = static_cast<int32_t>(i);
}

int64_t VideoIndex::start_of(int64_t number) const {
  const int64_t place = place_of(number);
  auto at = std::upper_bound(starts_.begin(), starts_.end(), place) - 1;
  while (at != starts_.begin() && is_leading(*at, place)) --at;
  return *at;
}

int64_t VideoIndex::start_before(int64_t place) const {
  const auto at = std::lower_bound(starts_.begin(), starts_.end(), place);
  return at == starts_.begin() ? starts_.front() : *(at - 1);
}

int64_t VideoIndex::start_after(int64_t place) const {
  const auto at = std::upper_bound(starts_.begin(), starts_.end(), place);
  return at == starts_.end() ? packets() : *at;
}

bool VideoIndex::is_leading(int64_t start, int64_t place) const {
  if (start == 0 || packet(start).access == RandomAccess::closed) return false;
  if (place >= start_after(start)) return false;
  return packet(place).pts < packet(start).pts;
}

bool VideoIndex::is_in_decoding_order() const {
  return std::is_sorted(packets_.begin(), packets_.end(), [](const auto& a, const auto& b) { return a.pts < b.pts; });
}

void VideoIndex::number_beginning(int64_t end, const std::vector<int64_t>& seen) {
  std::vector<int32_t> order;
  for (const int64_t place : seen) {
    if (place < end && packet(place).frame >= 0) order.push_back(static_cast<int32_t>(place));
  }
  std::copy_if(order_.begin(), order_.end(), std::back_inserter(order), [&](int32_t place) { return place >= end; });
  order_ = std::move(order);
  number();
}

}  // namespace tessera::media
