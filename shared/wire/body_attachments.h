// Bodies of the attachment messages: defined from the start, used when the tablet's forms land.
//
// Thread rule: free function templates, used by message_codec.cpp only.
#pragma once

#include "wire/body_records.h"
#include "wire/messages.h"

namespace fieldpost::wire {

template <class Io>
void describe(Io& io, typename Io::template Of<AttachOffer>& m) {
  io.id(1, "id", m.id);
  io.id(2, "record", m.record);
  io.text(3, "unit", m.unit, kNameBound);
  io.number(4, "total_bytes", m.total_bytes);
  io.check(m.total_bytes <= limits::kAttachmentBytesMax, "total_bytes", "number is out of range");
}

template <class Io>
void describe(Io& io, typename Io::template Of<AttachOffset>& m) {
  io.id(1, "id", m.id);
  io.number(2, "offset", m.offset);
  io.flag(3, "complete", m.complete);
  io.check(m.offset <= limits::kAttachmentBytesMax, "offset", "number is out of range");
}

template <class Io>
void describe(Io& io, typename Io::template Of<AttachChunk>& m) {
  io.id(1, "id", m.id);
  io.number(2, "offset", m.offset);
  io.blob(3, "bytes", m.bytes, limits::kChunkBytesMax);
  io.check(m.offset <= limits::kAttachmentBytesMax, "offset", "number is out of range");
  io.check(!m.bytes.empty(), "bytes", "is empty");
}

template <class Io>
void describe(Io& io, typename Io::template Of<AttachFetch>& m) {
  io.id(1, "id", m.id);
  io.number(2, "offset", m.offset);
  io.check(m.offset <= limits::kAttachmentBytesMax, "offset", "number is out of range");
}

}  // namespace fieldpost::wire
