"""WeCom (企业微信): robots of groups, and applications.

* `robot` and `app` are the two kinds of channels; `rendering` and `cards` write messages for them, `dialects` Markdown.
* `errors` says what WeCom's codes mean.
* `callback` reads what WeCom tells an application, by `crypto` and `xml`.
"""
