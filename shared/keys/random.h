// Randomness from the operating system, for the programs' roots to inject.
//
// Thread rule: safe from any thread, after crypto::init().
#pragma once

#include "base/random_source.h"

namespace fieldpost::keys {

/// libsodium's randombytes_buf: getrandom(2); aborts rather than give weak bytes.
RandomSource system_random();

}  // namespace fieldpost::keys
