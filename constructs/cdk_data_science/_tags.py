"""Tags of what CDK does not tag: the requests of tasks, what launch templates launch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import IStableAnyProducer, ITaggable, Lazy, TagManager, TagType
from constructs import Construct, IConstruct


def rendered_tags(own: Mapping[str, str], source: IConstruct | None) -> Any:
    """A list of tags as most APIs have it: those of a construct as they stand at synthesis, and own ones."""
    return Lazy.any(_Tags(own=own, source=source), omit_empty_array=True)


def tag_specifications(kinds: Sequence[str], source: IConstruct | None) -> Any:
    """The same as EC2 has it, for each kind of resource; nothing without tags, where EC2 refuses an empty
    list."""
    return Lazy.any(_Specifications(kinds, _Tags(own={}, source=source)), omit_empty_array=True)


def tags_at(scope: Construct, id: str, own: Mapping[str, str], source: IConstruct | None) -> Any:
    """The tags of what a state makes: those of ``source``, or of the state's place in the app without one."""
    return rendered_tags(own, source if source is not None else TagsHere(scope, f"{id} tags"))


@jsii.implements(ITaggable)
class TagsHere(Construct):
    """Has the tags of its place in the app, as a resource there would have them."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        self._manager = TagManager(TagType.STANDARD, "Tags")

    @property
    def tags(self) -> TagManager:
        """What CDK adds tags to."""
        return self._manager


@jsii.implements(IStableAnyProducer)
class _Tags:
    """The tags, resolved when the template is written: by then all tags of the app are known."""

    def __init__(self, *, own: Mapping[str, str], source: IConstruct | None) -> None:
        self._own = own
        self._source = source

    def produce(self) -> list[dict[str, str]]:
        inherited: dict[str, str] = {}
        if self._source is not None:
            manager = TagManager.of(self._source)
            inherited = dict(manager.tag_values()) if manager is not None else {}
        return [{"Key": key, "Value": value} for key, value in sorted({**inherited, **self._own}.items())]


@jsii.implements(IStableAnyProducer)
class _Specifications:
    """The tags once for each kind of resource."""

    def __init__(self, kinds: Sequence[str], tags: _Tags) -> None:
        self._kinds, self._tags = kinds, tags

    def produce(self) -> list[dict[str, Any]]:
        tags = self._tags.produce()
        return [{"ResourceType": kind, "Tags": tags} for kind in self._kinds] if tags else []
