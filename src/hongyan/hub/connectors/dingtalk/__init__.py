"""DingTalk: robots of groups (`robot`), and apps (`app`), whose robot and work notifications reach people."""
