"""The forms that an export may have: each makes a folder of JSON Lines into one (REST reference 8.2 to 8.4)."""

import csv
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bson

from tests.importing.exports import NOW


def tar(folder: Path) -> Path:
    packed = folder.with_name("export.tar.gz")
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(folder, "app-id")
    return packed


def zipped(folder: Path) -> Path:
    packed = folder.with_name("export.zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._messages.jsonl", b"\0\1")
        for file in folder.iterdir():
            archive.write(file, file.name)
    return packed


def gzipped(folder: Path) -> Path:
    for file in folder.iterdir():
        file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    return folder


def rewritten(write: Callable[[list[Any]], bytes], ending: str = ".json") -> Callable[[Path], Path]:
    def rewrite(folder: Path) -> Path:
        for file in list(folder.iterdir()):
            values = [json.loads(line) for line in file.read_text().splitlines()]
            file.with_suffix(ending).write_bytes(write(values))
            if ending != file.suffix:
                file.unlink()
        return folder

    return rewrite


def pages(values: list[Any]) -> bytes:
    return b"\n".join(
        json.dumps({"results": values[i : i + 7], "cursor": "x"}).encode() for i in range(0, len(values), 7)
    )


def with_oids(values: list[Any]) -> list[Any]:
    """As `mongoexport` renders what a backup holds."""
    made = []
    for value in values:
        value = dict(value)
        if "createdAt" in value:
            value["_id"] = {"$oid": value.pop("objectId")}
            value["createdAt"] = {"$date": value["createdAt"]}
            value["updatedAt"] = {"$date": {"$numberLong": str(NOW + 5)}}
        if "timestamp" in value:
            value["timestamp"] = {"$numberLong": str(value["timestamp"])}
        made.append(value)
    return made


def as_bson(values: list[Any]) -> bytes:
    made = []
    for value in values:
        value = dict(value)
        if "createdAt" in value:
            value["_id"] = bson.ObjectId(value.pop("objectId"))
            value["createdAt"] = bson.decode(bson.encode({"d": bson.datetime_ms.DatetimeMS(NOW)}))["d"]
            value["updatedAt"] = bson.datetime_ms.DatetimeMS(NOW + 5)
            value["__v"] = 0
        made.append(bson.encode(value))
    return b"".join(made)


def as_csv(values: list[Any]) -> bytes:
    """Types and names of the columns, then the rows."""
    names = list(dict.fromkeys(name for value in values for name in value))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([csv_type(name, values) for name in names])
    writer.writerow(names)
    writer.writerows([csv_cell(value.get(name)) for name in names] for value in values)
    return text.getvalue().encode()


def csv_type(name: str, values: list[Any]) -> str:
    if name in ("createdAt", "updatedAt"):
        return "date"
    match next((value[name] for value in values if value.get(name) is not None), None):
        case {"__type": "Date"}:
            return "date"
        case {"__type": "Pointer", "className": class_name}:
            return f"pointer:{class_name}"
        case dict():
            return "object"
        case list():
            return "array"
        case bool():
            return "boolean"
        case int():
            return "long"
    return "string"


def csv_cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case {"__type": "Date", "iso": iso}:
            return str(iso)
        case {"__type": "Pointer", "objectId": object_id}:
            return str(object_id)
        case bool() | dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


FORMS: dict[str, Callable[[Path], Path]] = {
    "tar.gz": tar,
    "zip": zipped,
    "gz": gzipped,
    "array": rewritten(lambda values: json.dumps(values).encode()),
    "indented array": rewritten(lambda values: json.dumps(values, indent=2).encode()),
    "results": rewritten(lambda values: json.dumps({"results": values}).encode()),
    "result": rewritten(lambda values: json.dumps({"result": values}).encode()),
    "cursor first": rewritten(lambda values: json.dumps({"cursor": None, "results": values}).encode()),
    "pages": rewritten(pages),
    "arrays one after another": rewritten(lambda values: b"".join(json.dumps([value]).encode() for value in values)),
    "BOM": rewritten(lambda values: b"\xef\xbb\xbf" + b"\r\n".join(json.dumps(v).encode() for v in values)),
    "extended JSON": rewritten(lambda values: b"\n".join(json.dumps(v).encode() for v in with_oids(values))),
    "BSON": rewritten(as_bson, ".bson"),
    "CSV": rewritten(as_csv, ".csv"),
    "CSV with BOM": rewritten(lambda values: b"\xef\xbb\xbf" + as_csv(values), ".csv"),
    "CSV in tar.gz": lambda folder: tar(rewritten(as_csv, ".csv")(folder)),
    "CSV in zip": lambda folder: zipped(rewritten(as_csv, ".csv")(folder)),
    "CSV gz": lambda folder: gzipped(rewritten(as_csv, ".csv")(folder)),
    "JSON Lines": lambda folder: folder,
    "parts": rewritten(lambda values: b"\n".join(json.dumps(v).encode() for v in values), ".0001.jsonl"),
}
