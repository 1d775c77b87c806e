"""Feishu, called Lark outside of China: robots of groups, and applications."""
