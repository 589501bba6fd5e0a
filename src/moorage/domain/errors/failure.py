"""What every failure is: its AWS code, its OCI status and code, its message."""

from __future__ import annotations

from typing import Any, ClassVar


class Failure(Exception):
    """
    A request that cannot be granted, for a reason its sender may know.

    Subclasses declare how each door reports them, as class arguments:

    * ``aws``: the error code of the AWS door (a shape of ECR's service model,
      or one of the codes common to all AWS services);
    * ``oci``: status and error code of the distribution door;
    * ``text``: the message, formatted with the keyword arguments given.
    """

    aws_code: ClassVar[str] = "ServerException"
    aws_status: ClassVar[int] = 400
    oci_status: int = 500
    oci_code: str = "UNKNOWN"
    text: ClassVar[str] = ""

    def __init_subclass__(
        cls,
        aws: str | None = None,
        oci: tuple[int, str] | None = None,
        text: str | None = None,
        aws_status: int | None = None,
    ) -> None:
        super().__init_subclass__()
        if aws is not None:
            cls.aws_code = aws
        if aws_status is not None:
            cls.aws_status = aws_status
        if oci is not None:
            cls.oci_status, cls.oci_code = oci
        if text is not None:
            cls.text = text

    def __init__(self, **values: Any) -> None:
        self.message = self.text.format(**values)
        super().__init__(self.message)

    @property
    def members(self) -> dict[str, Any]:
        """The modelled members beyond the message, by their wire names."""
        return {}

    @property
    def headers(self) -> dict[str, str]:
        """What the answer says in headers, at every door."""
        return {}
