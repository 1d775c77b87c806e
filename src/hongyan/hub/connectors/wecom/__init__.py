"""WeCom (企业微信): robots of groups, and applications.

* `robot` and `app` are the two kinds of channels; `rendering` and `cards` write messages for them, `dialects` Markdown,
  and `mentions` says whom they can tell.
* `api` is how an application calls WeCom, `uploads` knows its files, and `errors` says what WeCom's codes mean.
* `callback` reads what WeCom tells an application, by `xml`.
"""
