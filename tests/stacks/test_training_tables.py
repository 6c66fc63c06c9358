"""The optional tables of training: a search for hyperparameters, repositories, files, clusters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cdk_data_science.cost import at_rest, prices
from settings.model import FOLDER, SettingsError
from stacks.platform import compose
from stacks.training import TrainingStack
from tests.compliance import task_parameters
from tests.compliance import test_boundaries as boundaries
from tests.compliance import test_cfn_lint as cfn_lint
from tests.compliance.assembly import Assembly
from tests.constructs import support
from tests.stacks.small import judged, resources, settings

DEV = (FOLDER / "dev.toml").read_text(encoding="utf-8")
PIPELINE = DEV[DEV.index("[pipeline]") : DEV.index("[cost]")]
CLUSTERS, CONTAINERS, FILES, STEPS, TRAINING = (
    f"ds-dev-{name}" for name in ("clusters", "containers", "files", "pipeline", "training")
)
BUILD, PRODUCTION = "arn:aws:iam::111122223333:role/build", "444455556666"
BEFORE = f"""
[security]

[cost]
monthly_limit_usd = 100

[network]
zones = ["us-east-1a", "us-east-1b"]
nat_gateways = 1
cidr = "10.0.0.0/16"

[training]
image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
fallback_types = ["ml.m5.2xlarge"]
environment = {{ TOKENIZERS_PARALLELISM = "false" }}
metrics = {{ "cv:auroc" = 'cv_auroc=([0-9.]+)' }}

[inference]

{PIPELINE}
"""
TUNING = """
[pipeline.tuning]
objective = "cv:auroc"
trials = 12
parallel = 3
early_stopping = true

[pipeline.tuning.ranges]
regularization = { least = 0.1, most = 100, scaling = "Logarithmic" }
least_documents = { least = 1, most = 5, whole = true }
ngrams = { values = ["1", "2"] }
"""
REPOSITORIES = f"""
[containers.repositories.training]
push = ["{BUILD}"]
readers = ["{PRODUCTION}"]
images = 20
findings = ["CRITICAL"]
"""
SHARED = """
[files]
archive_after_days = 90

[files.folders.pretrained]
uid = 1100
gid = 1100
permissions = "0755"
channel = true

[files.folders.search]
uid = 1200
gid = 1200
"""
ACCELERATORS = f"""
[clusters.hyperpod.language]
zone = "us-east-1b"
reads = ["features/train/"]
files = ["search"]
groups.controller = {{ instance_type = "ml.m5.2xlarge", count = 1, kind = "controller" }}
groups.workers = {{ instance_type = "ml.p5.48xlarge", volume_gb = 500 }}

[clusters.batch.vision]
image = "111122223333.dkr.ecr.us-east-1.amazonaws.com/train:1"
instance_type = "p4d.24xlarge"
nodes = 4
writes = ["models/vision/"]
submit = ["{BUILD}"]
"""
FULL = BEFORE + TUNING + REPOSITORIES + SHARED + ACCELERATORS


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    # GIVEN a platform with all of them, judged by the packs and by our rules
    return judged(tmp_path_factory.mktemp("training"), FULL)


def policies(assembly: Assembly, stack: str) -> str:
    return json.dumps(resources(assembly, stack, "AWS::IAM::Policy"))


def test_no_environment_has_them_unless_it_asks() -> None:
    for file in FOLDER.glob("*.toml"):
        text = file.read_text(encoding="utf-8")
        for table in ("[pipeline.tuning", "[containers", "[files", "[clusters"):
            assert f"\n{table}" not in text


def test_runs_search_for_hyperparameters_instead_of_training_once(assembly: Assembly) -> None:
    # WHEN the pipeline is deployed
    (machine,) = task_parameters.definitions(assembly.templates[STEPS]).values()
    states = machine["States"]
    # THEN it has a search in the place of the training job, as the settings say
    assert "Train" not in states
    arguments = states["Tune"]["Arguments"]
    config = arguments["HyperParameterTuningJobConfig"]
    limits = config["ResourceLimits"]
    assert (limits["MaxNumberOfTrainingJobs"], limits["MaxParallelTrainingJobs"]) == (12, 3)
    assert config["TrainingJobEarlyStoppingType"] == "Auto"
    assert config["HyperParameterTuningJobObjective"] == {"Type": "Maximize", "MetricName": "cv:auroc"}
    assert config["ParameterRanges"] == {
        "ContinuousParameterRanges": [
            {"Name": "regularization", "MinValue": "0.1", "MaxValue": "100", "ScalingType": "Logarithmic"}
        ],
        "IntegerParameterRanges": [
            {"Name": "least_documents", "MinValue": "1", "MaxValue": "5", "ScalingType": "Auto"}
        ],
        "CategoricalParameterRanges": [{"Name": "ngrams", "Values": ["1", "2"]}],
    }
    types = arguments["TrainingJobDefinition"]["HyperParameterTuningResourceConfig"]["InstanceConfigs"]
    assert [each["InstanceType"] for each in types] == ["ml.m5.xlarge", "ml.m5.2xlarge"]


def test_a_training_goes_on_where_there_is_capacity(tmp_path: Path) -> None:
    # GIVEN a training alone, whose settings name other types and a time for On-Demand
    table = """
    [training]
    image = "111122223333.dkr.ecr.us-east-1.amazonaws.com/train:1"
    instance_count = 2
    fallback_types = ["ml.m5.2xlarge"]
    capacity_rounds = 1
    on_demand_after_minutes = 180
    environment = { TOKENIZERS_PARALLELISM = "false" }
    tensorboard = true
    """
    # WHEN it is composed
    stacks = compose(support.app(outdir=tmp_path / "cdk.out"), settings(tmp_path, table))
    (training,) = [stack.training for stack in stacks if isinstance(stack, TrainingStack)]
    # THEN its jobs are so
    retry = training.capacity_retry
    assert (retry.attempts, retry.fallback_types) == (1, ("ml.m5.2xlarge",))
    assert retry.on_demand_after is not None and retry.on_demand_after.to_hours() == 3
    assert training.job.instance_count == 2
    assert training.job.environment == {"TOKENIZERS_PARALLELISM": "false"}
    assert training.job.tensorboard_uri is not None


def test_the_pipelines_training_reads_a_shared_folder(assembly: Assembly) -> None:
    (machine,) = task_parameters.definitions(assembly.templates[STEPS]).values()
    channels = machine["States"]["Tune"]["Arguments"]["TrainingJobDefinition"]["InputDataConfig"]
    assert [each["ChannelName"] for each in channels] == ["train", "pretrained"]
    source = channels[1]["DataSource"]["FileSystemDataSource"]
    assert (source["DirectoryPath"], source["FileSystemAccessMode"]) == ("/pretrained", "ro")
    # AND its role may find the mount targets, and no more
    assert policies(assembly, STEPS).count("elasticfilesystem:") == 1
    assert "elasticfilesystem:DescribeMountTargets" in policies(assembly, STEPS)
    assert "elasticfilesystem" not in policies(assembly, TRAINING)


def test_files_are_let_in_by_group(assembly: Assembly) -> None:
    """One group of the network's jobs, one of the cluster: and no address."""
    rules = resources(assembly, FILES, "AWS::EC2::SecurityGroupIngress")
    rules += resources(assembly, CLUSTERS, "AWS::EC2::SecurityGroupIngress")
    nfs = [each for each in rules if each.get("FromPort") == 2049]
    assert len(nfs) == 2
    assert all("SourceSecurityGroupId" in each and "CidrIp" not in each for each in nfs)
    (system,) = resources(assembly, FILES, "AWS::EFS::FileSystem")
    assert {"TransitionToArchive": "AFTER_90_DAYS"} in system["LifecyclePolicies"]


def test_a_cluster_mounts_its_folder_and_reads_its_data(assembly: Assembly) -> None:
    (cluster,) = resources(assembly, CLUSTERS, "AWS::SageMaker::Cluster")
    counts = {each["InstanceGroupName"]: each["InstanceCount"] for each in cluster["InstanceGroups"]}
    assert counts == {"controller": 1, "workers": 0}
    text = policies(assembly, CLUSTERS)
    assert "elasticfilesystem:ClientWrite" in text
    assert "/features" not in text and "train/*" in text
    assert "vision/*" in text
    # AND who is named may submit jobs to the queue, and stop or delete nothing
    (submitter,) = [
        each for each in resources(assembly, CLUSTERS, "AWS::IAM::Policy") if "build" in each["Roles"]
    ]
    assert "batch:SubmitJob" in json.dumps(submitter)
    assert json.dumps(submitter).count("batch:") == 2  # the action, and the definition's ARN
    # AND it is in the zone that the settings name
    (subnet,) = cluster["VpcConfig"]["Subnets"]
    assert "useast1b" in json.dumps(subnet)


def test_a_build_pushes_and_production_pulls(assembly: Assembly) -> None:
    (repository,) = resources(assembly, CONTAINERS, "AWS::ECR::Repository")
    (readers,) = [
        each
        for each in repository["RepositoryPolicyText"]["Statement"]
        if PRODUCTION in json.dumps(each["Principal"])
    ]
    assert "ecr:BatchGetImage" in readers["Action"]
    assert "ecr:PutImage" not in readers["Action"]
    (policy,) = resources(assembly, CONTAINERS, "AWS::IAM::Policy")
    assert policy["Roles"] == ["build"]
    assert "ecr:PutImage" in json.dumps(policy)
    assert "ecr:BatchDeleteImage" not in json.dumps(policy)
    (rule,) = resources(assembly, CONTAINERS, "AWS::Events::Rule")
    assert rule["EventPattern"]["detail"]["finding-severity-counts"] == {"CRITICAL": [{"numeric": [">", 0]}]}


@pytest.mark.parametrize("stack", [CLUSTERS, CONTAINERS, FILES, STEPS])
def test_no_check_finds_anything(assembly: Assembly, stack: str) -> None:
    assert cfn_lint.problems(assembly.templates[stack]) == []
    assert assembly.found_in(stack) == []


def test_every_boundary_holds_what_its_role_may_do_and_no_more(assembly: Assembly) -> None:
    template = assembly.templates[CLUSTERS]
    found = boundaries.roles(template)
    assert found
    assert {role: boundaries.missing(template, role) for role in found} == {role: set() for role in found}
    plain = boundaries.boundary(assembly.templates["ds-dev-protection"])
    used = {action for role in found for action in boundaries.allowed(template, role)}
    assert boundaries.boundary(template) - plain - used == set()


def test_stacks_stand_on_each_other_three_deep_at_most(assembly: Assembly) -> None:
    def depth(stack: str) -> int:
        return 1 + max((depth(other) for other in assembly.dependencies[stack]), default=0)

    assert {stack: deep for stack in assembly.dependencies if (deep := depth(stack)) > 3} == {}


def test_what_they_cost_at_rest_is_known(assembly: Assembly) -> None:
    costs = {
        stack: [
            line for line in at_rest.assembly_lines(assembly.folder, prices.load()) if line.stack == stack
        ]
        for stack in (CLUSTERS, CONTAINERS, FILES)
    }
    unknown = {line.type for lines in costs.values() for line in lines if line.monthly_usd is None}
    # A HyperPod cluster costs its instances, of which the price list knows some.
    assert unknown <= {"AWS::SageMaker::Cluster"}
    assert sum(line.monthly_usd or 0 for line in costs[CONTAINERS]) == 0
    assert sum(line.monthly_usd or 0 for line in costs[FILES]) < 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('objective = "cv:auroc"', 'objective = "auroc"', "training.metrics is 'cv:auroc': name one of them"),
        ("most = 100,", "most = 0.1,", "there is nothing to search"),
        ("least = 0.1,", "least = 0,", "a logarithmic scale begins above 0"),
        ("least = 1, most", "least = 0.5, most", "write them without a point"),
        ('{ values = ["1", "2"] }', '{ values = ["1"], most = 2 }', "a range is either"),
        ('{ values = ["1", "2"] }', "{ least = 1 }", "give least and most, or values"),
        ("trials = 12", "trials = 2", "parallel is 3, more than the 2 trials"),
        ("trials = 12", 'strategy = "Grid"', "a grid is made of values"),
        ("[training]", "[training]\non_demand_after = 3", "training.on_demand_after: unknown key"),
        (
            "[training]",
            "[training]\ncapacity_rounds = 3",
            "['training.capacity_rounds'] belong to single jobs",
        ),
        ("[training]", "[training]\ntensorboard = true", "['training.tensorboard'] belong to single jobs"),
        ('["ml.m5.2xlarge"]', str([f"ml.m5.{n}xlarge" for n in range(6)]), "take 5 at most"),
        ('fallback_types = ["ml.m5', 'fallback_types = ["m5', "training.fallback_types.0"),
        ("trials = 12", "trial = 12", "pipeline.tuning.trial: unknown key"),
        (
            'readers = ["444455556666"]',
            'readers = ["production"]',
            "containers.repositories.training.readers",
        ),
        ("images = 20", "images = 0", "greater than or equal to 1"),
        ('permissions = "0755"', 'permissions = "0750"', 'write permissions = "0755"'),
        ("uid = 1200", "uid = 0", "files.folders.search.uid"),
        ("archive_after_days = 90", "archive_after_days = 45", "files.archive_after_days"),
        ('cidr = "10.0.0.0/16"', 'inside = ["inference"]', 'write "training" into network.inside'),
        ("nat_gateways = 1", "", "write nat_gateways = 1"),
        ("nat_gateways = 1", 'nat_gateways = 1\nallowed_domains = ["pypi.org"]', '".amazonaws.com"'),
        ('zone = "us-east-1b"', 'zone = "us-east-1c"', "clusters.hyperpod.language.zone is us-east-1c"),
        ('files = ["search"]', 'files = ["serach"]', "names ['serach'], but [files.folders] has"),
        ('"p4d.24xlarge"', '"p4d"', "clusters.batch.vision.instance_type"),
        ("nodes = 4", "nodes = 4\nmax_nodes = 2", "max_nodes is 2, but a job has 4 nodes"),
        ("nodes = 4", "capacity_block = true", "there is no reservation"),
    ],
)
def test_settings_that_cannot_be_are_told(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in FULL
    with pytest.raises(SettingsError) as failure:
        settings(tmp_path, FULL.replace(old, new, 1))
    assert expected in str(failure.value)


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        (SHARED, "files needs a table [network]"),
        (ACCELERATORS, "clusters need a table [network]"),
        ("[clusters]", "give [clusters.hyperpod.<name>] or [clusters.batch.<name>]"),
        (BEFORE.replace(PIPELINE, "") + SHARED, "are channels of a [pipeline], which there is not"),
    ],
)
def test_tables_that_stand_alone_are_told(tmp_path: Path, tables: str, expected: str) -> None:
    with pytest.raises(SettingsError) as failure:
        settings(tmp_path, tables)
    assert expected in str(failure.value)
