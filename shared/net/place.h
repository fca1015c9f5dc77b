// Internal to net: a connection's place in its server, held by whoever owns the socket at the time.
//
// Thread rule: `known` from any thread.
#pragma once

namespace fieldpost::net {

/// Letting it go frees the place.
class Place {
 public:
  Place() = default;
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  virtual ~Place() = default;
  /// The peer has proven who it is: it is no stranger from here on, and never makes room for one.
  virtual void known() = 0;
};

}  // namespace fieldpost::net
