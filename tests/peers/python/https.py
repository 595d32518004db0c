"""One request with the standard library's http.client over TLS: https.py URL [--data TEXT] [--ca F] [--cert F --key F]

Prints the status and, on the next line, the body. Without --ca the certificate is not checked.
"""

import argparse
import http.client
import ssl
import urllib.parse

parser = argparse.ArgumentParser(usage=__doc__)
parser.add_argument("url")
for option in "data", "ca", "cert", "key":
    parser.add_argument(f"--{option}")
args = parser.parse_args()

url = urllib.parse.urlsplit(args.url)
context = ssl.create_default_context(cafile=args.ca)
if not args.ca:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
if args.cert:
    context.load_cert_chain(args.cert, args.key)
connection = http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=10)
connection.request("POST" if args.data else "GET", url.path, args.data)
response = connection.getresponse()
print(response.status)
print(response.read().decode())
