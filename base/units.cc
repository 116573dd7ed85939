#include "base/units.h"

#include <charconv>
#include <span>

#include "base/format.h"

namespace postern {
namespace {

struct UnitName {
  std::string_view suffix;
  int64_t factor;
};

constexpr UnitName kDurations[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
constexpr UnitName kResolutions[] = {{"us", 1}, {"ms", 1000}, {"s", 1'000'000}};
constexpr UnitName kSizes[] = {
    {"", 1},          {"B", 1},     {"KiB", 1 << 10},  {"MiB", 1 << 20},
    {"GiB", 1 << 30}, {"kB", 1000}, {"MB", 1'000'000}, {"GB", 1'000'000'000}};

Result<int64_t> Parse(std::string_view text, std::span<const UnitName> units, const char* what) {
  const Error bad{fmt::format("\"{}\" is no {}", text, what)};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !(number >= 0)) return bad;
  const std::string_view suffix = text.substr(static_cast<size_t>(end - text.data()));
  for (const UnitName& u : units) {
    if (suffix != u.suffix) continue;
    const double value = number * static_cast<double>(u.factor);
    if (value > 9e15) return bad;  // exact in a double, and more than anyone means
    return static_cast<int64_t>(value);
  }
  return bad;
}

std::string Text(int64_t value, std::span<const UnitName> units) {
  const UnitName* best = &units.front();
  for (const UnitName& u : units) {
    if (value != 0 && value % u.factor == 0 && u.factor > best->factor) best = &u;
  }
  return fmt::format("{}{}", value / best->factor, best->suffix);
}

}  // namespace

std::string BytesText(int64_t bytes) { return Text(bytes, std::span(kSizes).subspan(1, 4)); }
std::string DurationText(int64_t milliseconds) { return Text(milliseconds, kDurations); }

Result<int64_t> ParseDuration(std::string_view text) {
  return Parse(text, kDurations, "duration; write 300ms, 5s, 2m or 1h");
}

Result<int64_t> ParseResolution(std::string_view text) {
  return Parse(text, kResolutions, "resolution; write 100us, 5ms or 1s");
}

Result<int64_t> ParseBytes(std::string_view text) {
  return Parse(text, kSizes, "size; write 4096, 64KiB, 128MiB or 1GiB");
}

Result<int64_t> ParseCount(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    return Error{fmt::format("\"{}\" is no whole number", text)};
  }
  return value;
}

Result<Rate> ParseRate(std::string_view text) {
  const Error bad{fmt::format("\"{}\" is no rate; write 100/s, 60/m or 1000/h", text)};
  const size_t slash = text.find('/');
  const auto count = ParseCount(text.substr(0, slash));
  if (!count || slash == std::string_view::npos) return bad;
  for (const UnitName& u : kDurations) {
    if (u.factor > 1 && text.substr(slash + 1) == u.suffix) return Rate{*count, u.factor};
  }
  return bad;
}

}  // namespace postern
