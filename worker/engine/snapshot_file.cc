#include "worker/engine/snapshot_file.h"

#include <zlib.h>

#include <cstdint>
#include <cstring>

namespace postern::worker {
namespace {

constexpr char kMagic[8] = {'p', 'o', 's', 't', 'e', 'r', 'n', '1'};
constexpr size_t kSealBytes = sizeof kMagic + sizeof(uint32_t);

uint32_t Sum(const char* blob, size_t size, const std::string& build) {
  const auto bytes = [](const char* p) { return reinterpret_cast<const Bytef*>(p); };
  const uLong sum = ::crc32_z(0, bytes(build.data()), build.size());
  return static_cast<uint32_t>(::crc32_z(sum, bytes(blob), size));
}

}  // namespace

std::string SealSnapshot(std::string blob, const std::string& build) {
  const uint32_t sum = Sum(blob.data(), blob.size(), build);
  blob.append(kMagic, sizeof kMagic);
  return blob.append(reinterpret_cast<const char*>(&sum), sizeof sum);
}

Result<std::string_view> OpenSnapshot(std::string_view file, const std::string& build) {
  if (file.empty())
    return Error{
        "cannot read the start-up snapshot beside the worker library; install Postern anew"};
  const size_t size = file.size() < kSealBytes ? 0 : file.size() - kSealBytes;
  uint32_t sum = 0;
  if (size > 0) std::memcpy(&sum, file.data() + size + sizeof kMagic, sizeof sum);
  if (size == 0 || std::memcmp(file.data() + size, kMagic, sizeof kMagic) != 0 ||
      sum != Sum(file.data(), size, build)) {
    return Error{"the start-up snapshot is damaged or that of another build; install Postern anew"};
  }
  return file.substr(0, size);
}

}  // namespace postern::worker
