"""The import-linter contract type `only`: a room imports nothing but what its contract names."""

import sys
from collections.abc import Iterator

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OnlyContract(Contract):
    """A room and all its modules may import themselves, `allowed`, and outside packages as `external` says.

    Options: `room`, a module; `allowed`, modules of this package, each with its descendants;
    `external`, the outside packages that may be imported (any, when the option is left out). The
    standard library and the bare root package, which holds the version, are free to all.
    """

    type_name = "only"

    room = fields.StringField()
    allowed = fields.ListField(subfield=fields.StringField(), required=False, default=[])
    external = fields.ListField(subfield=fields.StringField(), required=False, default=None)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every import of the room's modules."""
        if self.room not in graph.modules:
            raise ValueError(f"The contract `{self.name}` is about {self.room}, which does not exist.")
        wrong = sorted(self._wrong_imports(graph))
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line for each wrong import."""
        for importer, imported in check.metadata["wrong"]:
            output.print_error(f"{importer} may not import {imported}")

    def _wrong_imports(self, graph: ImportGraph) -> Iterator[tuple[str, str]]:
        for importer in {self.room} | graph.find_descendants(self.room):
            for imported in graph.find_modules_directly_imported_by(importer):
                if not self._may_import(imported):
                    yield importer, imported

    def _may_import(self, module: str) -> bool:
        root = self.room.split(".")[0]
        if module == root:
            return True
        if module.split(".")[0] == root:
            return any(is_within(module, package) for package in [self.room, *self.allowed])
        return self.external is None or module in self.external or module in sys.stdlib_module_names


def is_within(module: str, package: str) -> bool:
    """Whether a module is a package or lies in it."""
    return module == package or module.startswith(f"{package}.")
