#include "broker/upstream/close_notify.h"

namespace postern::broker {
namespace {

using Seen = std::shared_ptr<bool>;

void FreeSeen(void* /*parent*/, void* seen, CRYPTO_EX_DATA* /*data*/, int /*index*/, long /*argl*/,
              void* /*argp*/) {
  delete static_cast<Seen*>(seen);
}

int Index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, FreeSeen);
  return index;
}

void OnInfo(const SSL* connection, int where, int value) {
  if (where != SSL_CB_READ_ALERT || (value & 0xff) != SSL_AD_CLOSE_NOTIFY) return;
  if (auto* seen = static_cast<Seen*>(SSL_get_ex_data(connection, Index()))) **seen = true;
}

}  // namespace

std::shared_ptr<const bool> WatchCloseNotify(SSL* connection) {
  auto* seen = static_cast<Seen*>(SSL_get_ex_data(connection, Index()));
  if (seen == nullptr) {
    auto made = std::make_unique<Seen>(std::make_shared<bool>(false));
    if (SSL_set_ex_data(connection, Index(), made.get()) != 1) return std::make_shared<bool>(false);
    seen = made.release();
    SSL_set_info_callback(connection, OnInfo);
  }
  return *seen;
}

}  // namespace postern::broker
