"""As much of `curl` as the how-to pages use, for machines that have none."""

import argparse
import urllib.error
import urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("-sS", action="store_true")
parser.add_argument("-w", dest="after", default="")
parser.add_argument("-X", dest="method")
parser.add_argument("-H", dest="headers", action="append", default=[])
parser.add_argument("-d", dest="body", default="")
parser.add_argument("url")
given = parser.parse_args()

headers = dict(header.split(": ", 1) for header in given.headers)
request = urllib.request.Request(given.url, given.body.encode(), headers, method=given.method)
try:
    answer = urllib.request.urlopen(request, timeout=30)
except urllib.error.HTTPError as error:
    answer = error
print(answer.read().decode(), end=given.after.replace("\\n", "\n"))
