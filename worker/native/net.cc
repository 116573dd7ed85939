// Natives for fetch and for handlers: what the runtime's net.js and handler.js ask of the channels.
#include <cstdint>

#include "worker/guest/guest.h"
#include "worker/native/arguments.h"
#include "worker/native/natives.h"

namespace postern::worker {
namespace {

uint32_t Id(const Args& args) { return Uint32(args, 0); }

// The exchanges that the first argument is the id of one of.
HttpStreams& Of(const Args& args) { return Guest::Current().exchanges(Id(args)); }

// A header value's bytes: its units are all below 256 (isomorphic encode of the Infra standard).
std::string Latin1(v8::Isolate* isolate, v8::Local<v8::Value> value) {
  if (!value->IsString()) return {};
  const auto text = value.As<v8::String>();
  std::string out(static_cast<size_t>(text->Length()), '\0');
  text->WriteOneByteV2(isolate, 0, static_cast<uint32_t>(text->Length()),
                       reinterpret_cast<uint8_t*>(out.data()));
  return out;
}

// The second argument: [name, value, …]; nullopt with an exception pending.
std::optional<channel::Fields> FieldsOf(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto flat = Elements(args, 1);
  if (!flat) return std::nullopt;
  channel::Fields fields;
  fields.reserve(flat->size() / 2);
  for (size_t i = 0; i + 1 < flat->size(); i += 2)
    fields.push_back({Latin1(isolate, (*flat)[i]), Latin1(isolate, (*flat)[i + 1])});
  return fields;
}

// The third argument, where it is bytes.
std::string BodyOf(const Args& args) {
  const auto bytes = Bytes(args[2]);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// netFetch(id, fields [name, value, …], body: undefined | bytes | true for a stream that is written
// later, endless: boolean, raw: the response's body is given as it came, coded)
void NetFetch(const Args& args) {
  auto fields = FieldsOf(args);
  if (!fields) return;
  NetClient::Outgoing out;
  out.fields = *std::move(fields);
  out.has_body = !args[2]->IsUndefined();
  out.streaming = args[2]->IsTrue();
  out.body = BodyOf(args);
  out.endless = args[3]->IsTrue();
  out.raw = args[4]->IsTrue();
  Guest::Current().net().Fetch(Id(args), std::move(out));
}

// handlerRespond(id, fields, body: as of netFetch): throws where the fields are too many
void HandlerRespond(const Args& args) {
  auto fields = FieldsOf(args);
  if (!fields) return;
  HandlerServer::HandlerResponse answer;
  answer.fields = *std::move(fields);
  answer.has_body = !args[2]->IsUndefined();
  answer.streaming = args[2]->IsTrue();
  answer.body = BodyOf(args);
  const Status answered = Guest::Current().handler().Respond(Id(args), std::move(answer));
  if (!answered) ThrowRange(args.GetIsolate(), answered.error().message);
}

// netWrite(id, bytes, all): bytes that wait; where more than 0, netWritable comes when they are
// gone
void NetWrite(const Args& args) {
  args.GetReturnValue().Set(
      static_cast<double>(Of(args).Write(Id(args), Bytes(args[1]), args[2]->IsTrue())));
}

// netStream(id): the stream's number on the channel
void NetStream(const Args& args) { args.GetReturnValue().Set(Of(args).StreamOf(Id(args))); }

// netRef(id, ref: boolean): whether the run waits for it
void NetRef(const Args& args) { Of(args).SetRef(Id(args), args[1]->IsTrue()); }

void NetEndWrite(const Args& args) { Of(args).EndWrite(Id(args)); }

// netRead(id): bytes; null where netReadable comes later; undefined at the end
void NetRead(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  std::string piece;
  switch (Of(args).Read(Id(args), &piece)) {
    case HttpStreams::ReadState::kData: {
      v8::Local<v8::Uint8Array> bytes;
      if (AdoptBytes(isolate, std::move(piece)).ToLocal(&bytes)) args.GetReturnValue().Set(bytes);
      return;
    }
    case HttpStreams::ReadState::kWait:
      return args.GetReturnValue().SetNull();
    case HttpStreams::ReadState::kEnd:
      return;
  }
}

void NetCollect(const Args& args) { Of(args).Collect(Id(args)); }
void NetCancel(const Args& args) { Of(args).Cancel(Id(args)); }

}  // namespace

std::span<const Native> NetNatives() {
  static constexpr Native kNatives[] = {
      {"netFetch", NetFetch},   {"netWrite", NetWrite}, {"netEndWrite", NetEndWrite},
      {"netStream", NetStream}, {"netRead", NetRead},   {"netCollect", NetCollect},
      {"netCancel", NetCancel}, {"netRef", NetRef},     {"handlerRespond", HandlerRespond}};
  return kNatives;
}

}  // namespace postern::worker
