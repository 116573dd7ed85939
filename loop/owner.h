// Owner: what a handler that an Asio loop still holds knows of the object that it is for. An object
// that can go before its handlers are called has one as a member; an object that its handlers are
// to keep is a shared_ptr in them, and needs none.
#pragma once

#include <memory>
#include <utility>

namespace postern::loop {

class Owner {
 public:
  // Of one owner: whether it is there still. To be asked after a call that may have destroyed it.
  class Watch {
   public:
    bool gone() const { return token_.expired(); }

   private:
    friend class Owner;
    explicit Watch(std::weak_ptr<const void> token) : token_(std::move(token)) {}
    std::weak_ptr<const void> token_;
  };

  Owner() = default;
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  Watch watch() const { return Watch(token_); }

  // A handler that calls `function` while this is there, and does nothing afterwards.
  template <typename Function>
  auto WhileHere(Function function) const {
    return [watch = watch(), function = std::move(function)](auto&&... arguments) mutable {
      if (!watch.gone()) function(std::forward<decltype(arguments)>(arguments)...);
    };
  }

  // To be called first by a destructor that calls others.
  void Leave() { token_.reset(); }

 private:
  std::shared_ptr<const void> token_ = std::make_shared<char>();
};

}  // namespace postern::loop
