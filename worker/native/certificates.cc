// Natives for X.509 certificates, whose texts are Node's to the letter.
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>

#include "base/format.h"
#include "worker/native/key_handle.h"
#include "worker/native/natives.h"

namespace postern::worker {
namespace {

using v8::Local;
using v8::Value;

using OwnX509 = Own<X509, X509_free>;
using OwnBio = Own<BIO, BIO_free>;

class Certificate : public Handle {
 public:
  static constexpr char kKind = 0;
  explicit Certificate(OwnX509 x509) : x509(std::move(x509)) {}
  OwnX509 x509;
};

constexpr size_t kCertificateBytes = 8192;
// As Node prints names, an attribute a line.
constexpr unsigned long kNameLines = ASN1_STRFLGS_ESC_2253 | ASN1_STRFLGS_ESC_CTRL |
                                     ASN1_STRFLGS_UTF8_CONVERT | XN_FLAG_SEP_MULTILINE |
                                     XN_FLAG_FN_SN;

X509* CertificateOf(const Args& args, int i) {
  auto* certificate = Unwrap<Certificate>(args.GetIsolate(), args[i]);
  return certificate == nullptr ? nullptr : certificate->x509.get();
}

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) { return -1; }

// certificateRead(PEM or DER)
void CertificateRead(const Args& args) {
  StartOpenSsl();
  const auto bytes = Bytes(args[0]);
  const OwnBio input(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  OwnX509 x509(PEM_read_bio_X509_AUX(input.get(), nullptr, NoPassphrase, nullptr));
  const uint8_t* at = bytes.data();
  if (!x509) x509.reset(d2i_X509(nullptr, &at, static_cast<long>(bytes.size())));
  ERR_clear_error();
  if (x509)
    args.GetReturnValue().Set(
        Wrap(args.GetIsolate(), std::make_unique<Certificate>(std::move(x509)), kCertificateBytes));
}

std::string_view TextOf(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

// A name of a kind, quoted where it holds what could pass for a separator or is not printable.
std::string AltName(std::string_view kind, std::string_view name, bool utf8) {
  const auto plain = [&](unsigned char c) {
    return c >= ' ' && c != ',' && c != 0x7f && (c < 0x80 || utf8);
  };
  bool safe = true;
  for (const unsigned char c : name) safe = safe && plain(c) && c != '"' && c != '\\' && c != '\'';
  std::string out(kind);
  if (safe) return out.append(name);
  out += '"';
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\' || c == '"') {
      (out += '\\') += c;
    } else if (plain(byte)) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "\\u00{:02x}", byte);
    }
  }
  return out + '"';
}

std::string AddressText(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<unsigned>(static_cast<uint8_t>(bytes[i])); };
  std::string out = "IP Address:";
  if (bytes.size() == 4) {
    for (size_t i = 0; i < 4; ++i)
      fmt::format_to(std::back_inserter(out), "{}{}", i > 0 ? "." : "", byte(i));
  } else if (bytes.size() == 16) {
    for (size_t i = 0; i < 16; i += 2) {
      fmt::format_to(std::back_inserter(out), "{}{:X}", i > 0 ? ":" : "",
                     byte(i) << 8 | byte(i + 1));
    }
  } else {
    fmt::format_to(std::back_inserter(out), "<invalid length={}>", bytes.size());
  }
  return out;
}

std::string GeneralName(const GENERAL_NAME* name) {
  switch (name->type) {
    case GEN_DNS:
      return AltName("DNS:", TextOf(name->d.dNSName), false);
    case GEN_EMAIL:
      return AltName("email:", TextOf(name->d.rfc822Name), false);
    case GEN_URI:
      return AltName("URI:", TextOf(name->d.uniformResourceIdentifier), false);
    case GEN_IPADD:
      return AddressText(TextOf(name->d.iPAddress));
    case GEN_DIRNAME: {
      const OwnBio out(BIO_new(BIO_s_mem()));
      X509_NAME_print_ex(out.get(), name->d.dirn, 0,
                         (ASN1_STRFLGS_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) | XN_FLAG_SEP_COMMA_PLUS |
                             XN_FLAG_DN_REV | XN_FLAG_FN_SN | XN_FLAG_DUMP_UNKNOWN_FIELDS);
      return AltName("DirName:", TextOf(out.get()), true);
    }
    case GEN_RID: {
      char oid[256];
      OBJ_obj2txt(oid, sizeof oid, name->d.registeredID, 1);
      return fmt::format("Registered ID:{}", oid);
    }
    case GEN_OTHERNAME:
      return "othername:<unsupported>";
    case GEN_X400:
      return "X400Name:<unsupported>";
    case GEN_EDIPARTY:
      return "EdiPartyName:<unsupported>";
    default:
      return "<unsupported>";
  }
}

std::string NameLines(const X509_NAME* name) {
  const OwnBio out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), name, 0, kNameLines);
  return TextOf(out.get());
}

std::string SubjectAltName(const X509* x509) {
  const Own<GENERAL_NAMES, GENERAL_NAMES_free> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(x509, NID_subject_alt_name, nullptr, nullptr)));
  std::string out;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i)
    out += (i > 0 ? ", " : "") + GeneralName(sk_GENERAL_NAME_value(names.get(), i));
  return out;
}

std::string InfoAccess(const X509* x509) {
  const Own<AUTHORITY_INFO_ACCESS, AUTHORITY_INFO_ACCESS_free> all(
      static_cast<AUTHORITY_INFO_ACCESS*>(
          X509_get_ext_d2i(x509, NID_info_access, nullptr, nullptr)));
  std::string out;
  for (int i = 0; all && i < sk_ACCESS_DESCRIPTION_num(all.get()); ++i) {
    const ACCESS_DESCRIPTION* access = sk_ACCESS_DESCRIPTION_value(all.get(), i);
    char method[256];
    OBJ_obj2txt(method, sizeof method, access->method, 0);
    fmt::format_to(std::back_inserter(out), "{}{} - {}", i > 0 ? "\n" : "", method,
                   GeneralName(access->location));
  }
  return out;
}

// The purposes of the extended key usage, as dotted numbers, one a line.
std::string Purposes(const X509* x509) {
  const Own<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free> all(static_cast<EXTENDED_KEY_USAGE*>(
      X509_get_ext_d2i(x509, NID_ext_key_usage, nullptr, nullptr)));
  std::string out;
  for (int i = 0; all && i < sk_ASN1_OBJECT_num(all.get()); ++i) {
    char oid[256];
    OBJ_obj2txt(oid, sizeof oid, sk_ASN1_OBJECT_value(all.get(), i), 1);
    out += (i > 0 ? "\n" : "") + std::string(oid);
  }
  return out;
}

std::string TimeText(const ASN1_TIME* time) {
  const OwnBio out(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(out.get(), time);
  return TextOf(out.get());
}

std::string SerialNumber(const X509* x509) {
  const OwnNumber number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), nullptr));
  char* hex = number ? BN_bn2hex(number.get()) : nullptr;
  const std::string out = hex == nullptr ? "" : hex;
  OPENSSL_free(hex);
  return out;
}

// certificateTexts(certificate): [subject, issuer, subjectAltName, infoAccess, purposes, valid
// from, valid to, serial number, signature algorithm, its number, PEM, "ca" or ""]
void CertificateTexts(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  X509* x509 = CertificateOf(args, 0);
  if (x509 == nullptr) return;
  const ASN1_OBJECT* algorithm = X509_get0_tbs_sigalg(x509)->algorithm;
  char oid[256];
  OBJ_obj2txt(oid, sizeof oid, algorithm, 1);
  const int nid = OBJ_obj2nid(algorithm);
  const OwnBio pem(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(pem.get(), x509);
  std::vector<Local<Value>> texts;
  for (const std::string& text :
       {NameLines(X509_get_subject_name(x509)), NameLines(X509_get_issuer_name(x509)),
        SubjectAltName(x509), InfoAccess(x509), Purposes(x509), TimeText(X509_get0_notBefore(x509)),
        TimeText(X509_get0_notAfter(x509)), SerialNumber(x509),
        std::string(nid == NID_undef ? "" : OBJ_nid2ln(nid)), std::string(oid), TextOf(pem.get()),
        std::string(X509_check_ca(x509) == 1 ? "ca" : "")})
    texts.push_back(Str(isolate, text));
  ERR_clear_error();
  args.GetReturnValue().Set(v8::Array::New(isolate, texts.data(), texts.size()));
}

// certificateNames(certificate, of the issuer): [short name of an attribute, its value, …]
void CertificateNames(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  X509* x509 = CertificateOf(args, 0);
  if (x509 == nullptr) return;
  const X509_NAME* name =
      args[1]->IsTrue() ? X509_get_issuer_name(x509) : X509_get_subject_name(x509);
  std::vector<Local<Value>> pairs;
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, i);
    const ASN1_OBJECT* object = X509_NAME_ENTRY_get_object(entry);
    const int nid = OBJ_obj2nid(object);
    char oid[256];
    OBJ_obj2txt(oid, sizeof oid, object, 1);
    uint8_t* utf8 = nullptr;
    const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
    pairs.push_back(Str(isolate, nid == NID_undef ? oid : OBJ_nid2sn(nid)));
    pairs.push_back(Str(isolate, size < 0 ? std::string_view()
                                          : std::string_view(reinterpret_cast<char*>(utf8),
                                                             static_cast<size_t>(size))));
    OPENSSL_free(utf8);
  }
  ERR_clear_error();
  args.GetReturnValue().Set(v8::Array::New(isolate, pairs.data(), pairs.size()));
}

// certificateDer(certificate)
void CertificateDer(const Args& args) {
  X509* x509 = CertificateOf(args, 0);
  if (x509 == nullptr) return;
  uint8_t* der = nullptr;
  const int size = i2d_X509(x509, &der);
  ERR_clear_error();
  if (size > 0) Return(args, ByteView(der, static_cast<size_t>(size)));
  OPENSSL_free(der);
}

// certificateTimes(certificate): [valid from, valid to], in seconds since 1970
void CertificateTimes(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  X509* x509 = CertificateOf(args, 0);
  if (x509 == nullptr) return;
  const auto seconds = [&](const ASN1_TIME* time) -> Local<Value> {
    const Own<ASN1_TIME, ASN1_TIME_free> epoch(ASN1_TIME_set(nullptr, 0));
    int days = 0, rest = 0;
    ASN1_TIME_diff(&days, &rest, epoch.get(), time);
    return v8::Number::New(isolate, days * 86400.0 + rest);
  };
  Local<Value> times[] = {seconds(X509_get0_notBefore(x509)), seconds(X509_get0_notAfter(x509))};
  args.GetReturnValue().Set(v8::Array::New(isolate, times, 2));
}

// certificateKey(certificate): its public key
void CertificateKey(const Args& args) {
  if (X509* x509 = CertificateOf(args, 0)) ReturnKey(args, OwnKey(X509_get_pubkey(x509)));
}

// certificateIsFor(certificate, "host", "email" or "ip", name, OpenSSL's flags): the name that it
// is for; undefined where it is for none; false where the name is none
void CertificateIsFor(const Args& args) {
  X509* x509 = CertificateOf(args, 0);
  if (x509 == nullptr) return;
  const std::string kind = Text(args, 1), name = Text(args, 2);
  const auto flags = static_cast<unsigned>(Int(args, 3));
  char* peer = nullptr;
  const int found = kind == "host" ? X509_check_host(x509, name.data(), name.size(), flags, &peer)
                    : kind == "email" ? X509_check_email(x509, name.data(), name.size(), flags)
                                      : X509_check_ip_asc(x509, name.c_str(), flags);
  ERR_clear_error();
  if (found == 1) {
    args.GetReturnValue().Set(Str(args.GetIsolate(), peer == nullptr ? name : std::string(peer)));
  } else if (found == -2) {
    args.GetReturnValue().Set(false);
  }
  OPENSSL_free(peer);
}

// certificateIssued(issuer, certificate): whether it may have issued that one
void CertificateIssued(const Args& args) {
  X509 *issuer = CertificateOf(args, 0), *x509 = CertificateOf(args, 1);
  if (issuer == nullptr || x509 == nullptr) return;
  args.GetReturnValue().Set(X509_check_issued(issuer, x509) == X509_V_OK);
  ERR_clear_error();
}

// certificateHas(certificate, key): whether it is of this key
void CertificateHas(const Args& args) {
  X509* x509 = CertificateOf(args, 0);
  EVP_PKEY* key = KeyOf(args, 1);
  if (x509 == nullptr || key == nullptr) return;
  args.GetReturnValue().Set(X509_check_private_key(x509, key) == 1);
  ERR_clear_error();
}

// certificateVerify(certificate, key): whether this key has signed it
void CertificateVerify(const Args& args) {
  X509* x509 = CertificateOf(args, 0);
  EVP_PKEY* key = KeyOf(args, 1);
  if (x509 == nullptr || key == nullptr) return;
  args.GetReturnValue().Set(X509_verify(x509, key) == 1);
  ERR_clear_error();
}

}  // namespace

std::span<const Native> CertificateNatives() {
  static constexpr Native kNatives[] = {{"certificateRead", InInts<CertificateRead>},
                                        {"certificateTexts", InInts<CertificateTexts>},
                                        {"certificateNames", InInts<CertificateNames>},
                                        {"certificateDer", InInts<CertificateDer>},
                                        {"certificateTimes", InInts<CertificateTimes>},
                                        {"certificateKey", InInts<CertificateKey>},
                                        {"certificateIsFor", InInts<CertificateIsFor>},
                                        {"certificateIssued", InInts<CertificateIssued>},
                                        {"certificateHas", InInts<CertificateHas>},
                                        {"certificateVerify", InInts<CertificateVerify>}};
  return kNatives;
}

}  // namespace postern::worker
