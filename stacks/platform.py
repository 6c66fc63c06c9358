"""The whole platform: which stacks there are and what each needs of the others."""

from __future__ import annotations

from typing import Literal

import aws_cdk as cdk

from cdk_data_science import BUILD_FOR_HOST_CONTEXT, CostReport, RequiredTags, StudioTeam
from settings.model import SPEAKING, Settings
from stacks import boundaries, regions
from stacks.access import AccessStack
from stacks.clusters import ClustersStack
from stacks.containers import ContainersStack
from stacks.cost import CostStack
from stacks.etl import EtlStack
from stacks.features import FeaturesStack
from stacks.files import FilesStack
from stacks.hosted import hosted_stacks
from stacks.lake import LakeStack
from stacks.network import NetworkStack
from stacks.operations import OperationsStack
from stacks.pipeline import PipelineStack
from stacks.protection import ProtectionStack
from stacks.quality import QualityStack
from stacks.serving import ServingStack
from stacks.studio import StudioStack, team_stacks
from stacks.training import TrainingStack


def compose(app: cdk.App, settings: Settings) -> list[cdk.Stack]:
    """Add the stacks of one environment to ``app``, in the order in which they depend on each other."""
    if settings.functions.build_for_host:
        app.node.set_context(BUILD_FOR_HOST_CONTEXT, True)
    name = settings.platform.name
    env = cdk.Environment(account=settings.platform.account, region=settings.platform.region)
    lake = LakeStack(app, f"{name}-lake", settings=settings, env=env)
    stacks: list[cdk.Stack] = [lake]
    network = operations = training = serving = files = None
    if settings.network is not None:
        network = NetworkStack(app, f"{name}-network", settings=settings, network=settings.network, env=env)
        stacks.append(network)
    quality = None
    watched = settings.training is not None and settings.training.watch
    if (
        any(getattr(settings, part) for part in (*SPEAKING, "audit"))
        or settings.lake.quality is not None
        or watched
    ):
        operations = OperationsStack(app, f"{name}-operations", settings=settings, env=env)
        stacks.append(operations)
    if settings.containers is not None and operations is not None:
        stacks.append(
            ContainersStack(
                app,
                f"{name}-containers",
                settings=settings,
                containers=settings.containers,
                alerts=operations.alerts,
                env=env,
            )
        )
    if settings.files is not None and network is not None and operations is not None:
        files = FilesStack(
            app,
            f"{name}-files",
            settings=settings,
            files=settings.files,
            network=network,
            alerts=operations.alerts,
            env=env,
        )
        stacks.append(files)
    if settings.clusters is not None and network is not None and operations is not None:
        stacks.append(
            ClustersStack(
                app,
                f"{name}-clusters",
                clusters=settings.clusters,
                lake=lake.lake,
                network=network,
                files=files,
                alerts=operations.alerts,
                env=env,
            )
        )
    if settings.etl is not None and operations is not None:
        stacks.append(
            EtlStack(
                app,
                f"{name}-etl",
                settings=settings,
                etl=settings.etl,
                lake=lake.lake,
                network=network,
                alerts=operations.alerts,
                env=env,
            )
        )
    if settings.lake.quality is not None and operations is not None:
        quality = QualityStack(
            app,
            f"{name}-quality",
            settings=settings,
            quality=settings.lake.quality,
            lake=lake.lake,
            alerts=operations.alerts,
            network=_inside(network, settings, "pipeline"),
            env=env,
        )
        stacks.append(quality)
    if settings.training is not None:
        training = TrainingStack(
            app,
            f"{name}-training",
            settings=settings,
            training=settings.training,
            lake=lake.lake,
            mlflow=lake.mlflow,
            network=_inside(network, settings, "training"),
            alerts=operations.alerts if watched and operations is not None else None,
            env=env,
        )
        stacks.append(training)
    if settings.features is not None and operations is not None:
        stacks.append(
            FeaturesStack(
                app,
                f"{name}-features",
                settings=settings,
                features=settings.features,
                lake=lake.lake,
                alerts=operations.alerts,
                env=env,
            )
        )
    if settings.inference is not None and operations is not None:
        serving = ServingStack(
            app,
            f"{name}-serving",
            settings=settings,
            inference=settings.inference,
            lake=lake.lake,
            alerts=operations.alerts,
            network=_inside(network, settings, "inference"),
            env=env,
        )
        stacks.append(serving)
    stacks += hosted_stacks(
        app,
        settings,
        lake=lake.lake,
        alerts=None if operations is None else operations.alerts,
        network=_inside(network, settings, "endpoint"),
        env=env,
    )
    if (
        settings.pipeline is not None
        and training is not None
        and serving is not None
        and operations is not None
    ):
        pipeline = PipelineStack(
            app,
            f"{name}-pipeline",
            settings=settings,
            pipeline=settings.pipeline,
            lake=lake.lake,
            training=training.training,
            files=files,
            inference=serving.inference,
            results=None if quality is None else quality.results,
            alerts=operations.alerts,
            network=_inside(network, settings, "pipeline"),
            env=env,
        )
        stacks.append(pipeline)
    teams: list[StudioTeam] = []
    if settings.studio is not None and network is not None and operations is not None:
        studio = StudioStack(
            app,
            f"{name}-studio",
            settings=settings,
            studio=settings.studio,
            network=network,
            lake=lake.lake,
            alerts=operations.alerts,
            mlflow=lake.mlflow,
            env=env,
        )
        stacks.append(studio)
        people = list(
            team_stacks(
                app,
                settings.studio,
                prefix=f"{name}-studio",
                domain=studio.domain,
                lake=lake.lake,
                mlflow=lake.mlflow,
                env=env,
            )
        )
        stacks += people
        teams = [part.team for part in people]
    protection = None
    if settings.security is not None or settings.audit is not None:
        protection = ProtectionStack(
            app,
            f"{name}-protection",
            settings=settings,
            lake=lake.lake,
            training=None if training is None else training.training,
            alerts=None if operations is None else operations.alerts,
            env=env,
        )
        stacks.append(protection)
    if settings.cost is not None and operations is not None:
        stacks.append(
            CostStack(
                app,
                f"{name}-cost",
                settings=settings,
                cost=settings.cost,
                alerts=operations.alerts,
                personas=None if protection is None else protection.personas,
                teams=teams,
                env=env,
            )
        )
    if settings.access is not None:
        stacks.append(AccessStack(app, f"{name}-access", access=settings.access, lake=lake.lake, env=env))
    if settings.security is not None:
        boundaries.apply(stacks, settings)
    rules = settings.cost
    regions.check(stacks)
    RequiredTags(
        app,
        settings.tags,
        allowed=None if rules is None else rules.allowed_tag_values,
        patterns=None if rules is None else rules.tag_patterns,
    )
    CostReport(app)
    return stacks


def _inside(
    network: NetworkStack | None,
    settings: Settings,
    part: Literal["training", "inference", "endpoint", "pipeline"],
) -> NetworkStack | None:
    """The network, if the settings put this part of the platform into it."""
    return network if settings.network is not None and part in settings.network.inside else None
