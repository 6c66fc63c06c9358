"""Where the code of a job is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake.zone_base import ZoneBase


@dataclass(frozen=True, kw_only=True, slots=True)
class ScriptFile:
    """A file of the app, which is uploaded when the app is deployed: a change of it changes the job."""

    path: str | Path
    """The file."""

    def check(self, problems: Problems, endings: tuple[str, ...]) -> None:
        """Record a file that is not there, or is no code."""
        path = Path(self.path)
        problems.check(path.is_file(), given=f"script {str(path)!r}", allowed="a file that is there")
        problems.check(
            path.suffix in endings, given=f"script {str(path)!r}", allowed=f"a file {', '.join(endings)}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ScriptObject:
    """An object of a zone, which somebody else puts there, such as a build. The next run takes what is
    there then."""

    zone: ZoneBase
    """The zone."""

    key: str
    """The object's key, relative to the bucket."""

    def check(self, problems: Problems, endings: tuple[str, ...]) -> None:
        """Record a key that is no code."""
        problems.check(
            is_token(self.key) or (self.key.endswith(endings) and not self.key.startswith("/")),
            given=f"script object {self.key!r}",
            allowed=f"a key relative to the bucket that ends in {', '.join(endings)}",
        )


Script = ScriptFile | ScriptObject
"""Code of a job, in the app or in a zone."""


def bind(script: Script, scope: Construct, id: str, role: iam.IRole) -> str:
    """Let a role read a script, and return its address. A file is uploaded with the app."""
    if isinstance(script, ScriptObject):
        script.zone.grant_read(role, prefix=script.key)
        return script.zone.uri(script.key)
    asset = assets.Asset(scope, id, path=str(script.path))
    # Not the asset's own grant, which is on the whole bucket of all apps' assets.
    iam.Grant.add_to_principal(
        grantee=role,
        actions=["s3:GetObject"],
        resource_arns=[asset.bucket.arn_for_objects(asset.s3_object_key)],
    )
    if asset.bucket.encryption_key is not None:
        asset.bucket.encryption_key.grant_decrypt(role)
    return asset.s3_object_url
