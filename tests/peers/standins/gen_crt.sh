#!/bin/sh
# The device project's certificates, written from its README.
#
#   ./gen_crt.sh --srv=<host IP> [--cn="ESP Client 1"] [--pass=<password of the CA's key>]
#
#   tls/ca/ca.{key,crt,der}          the authority; kept by later runs, so that devices need no new ca.der
#   tls/<host IP>/<host IP>.{key,crt}  the server, PEM
#   tls/<name>/<name>.{key,crt}      the client, DER: what a controller reads
#   src/                             what goes onto the controller: ca.der and the client's two files
#
# Works in the current directory. Without --pass openssl asks for the password.
set -eu

srv= cn= pass=
for arg; do
    case $arg in
        --srv=?*) srv=${arg#*=} ;;
        --cn=?*) cn=${arg#*=} ;;
        --pass=?*) pass=${arg#*=} ;;
        *) echo "usage: $0 --srv=IP [--cn=NAME] [--pass=PASSWORD]" >&2; exit 2 ;;
    esac
done
[ -n "$srv" ] || { echo "$0: --srv=IP is missing" >&2; exit 2; }

days=825 # the longest life that every TLS stack accepts

# with_password OPTION COMMAND...: openssl with the password from --pass, or asking for it.
with_password() {
    option=$1; shift
    if [ -n "$pass" ]; then openssl "$@" "$option" "pass:$pass"; else openssl "$@"; fi
}

# sign NAME EXTENSIONS: a P-256 key and a certificate for NAME in tls/NAME/, both PEM.
sign() {
    dir=tls/$1
    mkdir -p "$dir"
    openssl ecparam -name prime256v1 -genkey -noout -out "$dir/$1.key"
    openssl req -new -key "$dir/$1.key" -subj "/CN=$1" -out "$dir/$1.csr"
    printf '%s\n' "$2" 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' \
        'subjectKeyIdentifier=hash' 'authorityKeyIdentifier=keyid' >"$dir/$1.ext"
    with_password -passin x509 -req -in "$dir/$1.csr" -CA tls/ca/ca.crt -CAkey tls/ca/ca.key -CAcreateserial \
        -days $days -sha256 -extfile "$dir/$1.ext" -out "$dir/$1.crt"
    rm "$dir/$1.csr" "$dir/$1.ext"
}

umask 077
mkdir -p tls/ca src
if [ ! -f tls/ca/ca.crt ]; then
    with_password -pass genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -out tls/ca/ca.key
    with_password -passin req -x509 -new -key tls/ca/ca.key -subj "/CN=Test CA" -days $days -sha256 \
        -addext 'keyUsage=critical,keyCertSign,cRLSign' -out tls/ca/ca.crt
    openssl x509 -in tls/ca/ca.crt -outform DER -out tls/ca/ca.der
fi
cp tls/ca/ca.der src/

# The address stands in the SAN twice: mbedTLS before 3.6 compares only DNS names with what it connects to.
sign "$srv" "subjectAltName=IP:$srv,DNS:$srv
extendedKeyUsage=serverAuth"

if [ -n "$cn" ]; then
    sign "$cn" 'extendedKeyUsage=clientAuth'
    for kind in ec:key x509:crt; do
        file="tls/$cn/$cn.${kind#*:}"
        openssl "${kind%:*}" -in "$file" -outform DER -out "$file.der"
        mv "$file.der" "$file"
        cp "$file" src/
    done
fi
