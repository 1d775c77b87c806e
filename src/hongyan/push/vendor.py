"""What the services of makers of Android devices have in common."""

from hongyan.push.credentials import Credentials


class VendorCredentials(Credentials, frozen=True, kw_only=True):
    """`title`: what stands above pushes that have no title of their own: these services ask for one."""

    title: str = "New message"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.title.strip():
            raise ValueError("`title` must say something")
