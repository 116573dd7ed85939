// What libcurl is told of a request, before it calls anything.
#pragma once

#include <curl/curl.h>

#include <string>
#include <utility>

#include "broker/upstream/upstream.h"

namespace postern::broker {

// A list of libcurl's that is freed with its owner.
class CurlList {
 public:
  CurlList() = default;
  ~CurlList() { curl_slist_free_all(list_); }
  CurlList(const CurlList&) = delete;
  CurlList& operator=(const CurlList&) = delete;

  void Append(const std::string& line) { list_ = curl_slist_append(list_, line.c_str()); }
  void Clear() { curl_slist_free_all(std::exchange(list_, nullptr)); }
  curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

// What options of a transfer point to.
struct CurlLists {
  CurlList headers, resolve, connect_to;

  void Clear() {
    headers.Clear();
    resolve.Clear();
    connect_to.Clear();
  }
};

// Whether the request goes to its proxy itself, in absolute form (RFC 9112 section 3.2.2).
bool UsesAbsoluteForm(const UpstreamRequest& request);

// All options but the callbacks'. `lists` outlive the transfer.
void SetUpTransfer(CURL* easy, const UpstreamRequest& request, CurlLists& lists);

}  // namespace postern::broker
