#include "worker/engine/runtime_parts.h"

#include <charconv>
#include <memory>

#include "base/format.h"
#include "worker/engine/v8_values.h"

extern "C" const char postern_parts_begin[], postern_parts_end[];

namespace postern::worker {
namespace {

// V8's view of bytes that are never freed.
class PartString : public v8::String::ExternalOneByteStringResource {
 public:
  explicit PartString(std::string_view text) : text_(text) {}
  const char* data() const override { return text_.data(); }
  size_t length() const override { return text_.size(); }

 private:
  std::string_view text_;
};

}  // namespace

std::string_view PartText(std::string_view name) {
  std::string_view rest(postern_parts_begin,
                        static_cast<size_t>(postern_parts_end - postern_parts_begin));
  while (!rest.empty()) {
    const std::string_view head = rest.substr(0, rest.find('\n'));
    const size_t space = head.find(' ');
    size_t size = 0;
    std::from_chars(head.data() + space + 1, head.data() + head.size(), size);
    rest.remove_prefix(head.size() + 1);
    if (head.substr(0, space) == name) return rest.substr(0, size);
    rest.remove_prefix(size);
  }
  return {};
}

v8::MaybeLocal<v8::Function> CompilePart(v8::Isolate* isolate, v8::Local<v8::Context> context,
                                         std::string_view name,
                                         std::vector<v8::Local<v8::String>> parameters) {
  const std::string_view text = PartText(name);
  v8::Local<v8::String> source;
  if (text.empty() ||
      !v8::String::NewExternalOneByte(isolate, std::make_unique<PartString>(text).release())
           .ToLocal(&source)) {
    ThrowType(isolate, fmt::format("there is no part {}", name));
    return {};
  }
  v8::ScriptCompiler::Source script(
      source, v8::ScriptOrigin(Str(isolate, fmt::format("postern:{}", name))));
  return v8::ScriptCompiler::CompileFunction(context, &script, parameters.size(),
                                             parameters.data());
}

}  // namespace postern::worker
