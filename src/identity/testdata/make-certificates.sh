#!/bin/sh
# Makes certificates.json beside this file: throw-away authorities and certificates for tests, trusted by nothing.
# Needs openssl 3 and node. Run it again only to change them: sh make-certificates.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }
authority() {
  key "$1"
  openssl req -x509 -new -key "$1.key" -sha256 -days 36500 -subj "/CN=$2" -out "$1.crt" \
    -addext "keyUsage=critical,keyCertSign,cRLSign"
}
cat > ca.cnf <<'CNF'
[ca]
default_ca=d
[d]
database=index.txt
serial=serial.txt
crlnumber=crlnumber.txt
new_certs_dir=.
default_md=sha256
default_crl_days=36500
policy=p
unique_subject=no
[p]
commonName=supplied
CNF
: > index.txt
echo 1000 > serial.txt
echo 01 > crlnumber.txt
# name, authority, purpose, the extension lines of its names, [start end]
leaf() {
  key "$1"
  openssl req -new -key "$1.key" -subj "/CN=alice@example.com" -out "$1.csr"
  printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\n%b\n' "$3" "$4" > "$1.ext"
  openssl ca -batch -notext -config ca.cnf -cert "$2.crt" -keyfile "$2.key" -in "$1.csr" -extfile "$1.ext" \
    -startdate "${5:-20260101000000Z}" -enddate "${6:-21260101000000Z}" -out "$1.crt" 2>/dev/null
}

authority ca 'signet test authority'
authority other 'another test authority'
leaf server ca serverAuth 'subjectAltName=DNS:localhost,IP:127.0.0.1'
leaf agent ca clientAuth 'subjectAltName=URI:spiffe://example.org/agent/crawler-7'
leaf person ca clientAuth 'subjectAltName=email:alice@example.com'
leaf machine ca clientAuth 'subjectAltName=DNS:Build-1.example.org'
leaf everything ca clientAuth 'subjectAltName=URI:spiffe://example.org/agent/both,email:bob@example.com,DNS:both.example.org,IP:192.0.2.1'
leaf twoUris ca clientAuth 'subjectAltName=URI:spiffe://example.org/agent/one,URI:spiffe://example.org/agent/two'
leaf commonNameOnly ca clientAuth ''
leaf serverPurpose ca serverAuth 'subjectAltName=URI:spiffe://example.org/agent/crawler-7'
leaf stranger other clientAuth 'subjectAltName=URI:spiffe://example.org/agent/crawler-7'
leaf expired ca clientAuth 'subjectAltName=URI:spiffe://example.org/agent/crawler-7' 20200101000000Z 20200201000000Z
leaf revoked ca clientAuth 'subjectAltName=URI:spiffe://example.org/agent/crawler-7'
# CVE-2021-44532: one name that, printed carelessly, reads as two.
leaf injectedUri ca clientAuth 'subjectAltName=@n\n[n]\nURI=spiffe://example.org/other/x\\, URI:spiffe://example.org/agent/admin'
leaf injectedEmail ca clientAuth 'subjectAltName=@n\n[n]\nemail=eve@example.com\\, email:alice@example.com'
openssl ca -config ca.cnf -cert ca.crt -keyfile ca.key -revoke revoked.crt 2>/dev/null
openssl ca -config ca.cnf -cert ca.crt -keyfile ca.key -gencrl -out ca.crl 2>/dev/null

node -e '
const { readFileSync, writeFileSync } = require("node:fs")
const out = { about: "Throw-away keys and certificates for tests, made by make-certificates.sh: trusted by nothing.",
  authority: readFileSync("ca.crt", "utf8"), revocations: readFileSync("ca.crl", "utf8"), holders: {} }
for (const name of process.argv.slice(2)) out.holders[name] = { key: readFileSync(name + ".key", "utf8"), cert: readFileSync(name + ".crt", "utf8") }
writeFileSync(process.argv[1], JSON.stringify(out, null, 2) + "\n")
' "$here/certificates.json" server agent person machine everything twoUris commonNameOnly serverPurpose stranger expired revoked injectedUri injectedEmail
