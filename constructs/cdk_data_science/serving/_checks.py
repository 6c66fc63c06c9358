"""What SageMaker refuses of the parts of an endpoint together."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.serving.capture import DataCapture
from cdk_data_science.serving.variants import InstanceVariant, ServerlessVariant

_MOST_VARIANTS = 10
_LONGEST_ANSWER_SECONDS = 60
_AnyVariant = InstanceVariant | ServerlessVariant


def check_variants(
    problems: Problems, variants: Sequence[_AnyVariant], shadow: InstanceVariant | None
) -> None:
    """Report variants that cannot be behind one endpoint."""
    problems.check(
        1 <= len(variants) <= _MOST_VARIANTS,
        given=f"{len(variants)} variants",
        allowed=f"1 to {_MOST_VARIANTS}",
        write="variants=[InstanceVariant(…)]",
    )
    everyone = [*variants, *([shadow] if shadow is not None else [])]
    for each in everyone:
        each.check(problems)
    names = [each.name for each in everyone]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems.check(
        not twice,
        given=f"several variants of the name {', '.join(map(repr, twice))}",
        allowed="a name of its own for each",
    )
    problems.check(
        not variants or any(is_token(each.weight) or each.weight > 0 for each in variants),
        given="the weight 0 for all variants",
        allowed="a weight above 0 for one at least: nobody would answer",
        write="weight=1",
    )
    problems.check(
        len(variants) <= 1 or not any(isinstance(each, ServerlessVariant) for each in variants),
        given="a serverless variant beside others",
        allowed="one serverless variant alone",
        write="variants=[ServerlessVariant(…)]",
    )


def check_shadow(problems: Problems, variants: Sequence[_AnyVariant], shadow: InstanceVariant) -> None:
    """Report what excludes shadow variants.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests-exclusions.html
    """
    problems.check(
        len(variants) == 1,
        given=f"shadow beside {len(variants)} variants",
        allowed="one variant and one shadow",
        write="shadow=None",
    )
    problems.check(
        shadow.scaling is None,
        given=f"scaling of the shadow {shadow.name!r}",
        allowed="a count that stays",
        write="scaling=None",
    )
    for each in (*variants, shadow):
        problems.check(
            not isinstance(each, ServerlessVariant),
            given="shadow with a serverless variant",
            allowed="variants on instances",
            write="shadow=None",
        )
        problems.check(
            not each.model.multi_model and not each.model.several,
            given=f"shadow with the multi-{'model' if each.model.multi_model else 'container'} variant "
            f"{each.name!r}",
            allowed="models of one container that each load one artifact",
            write="shadow=None",
        )
        problems.check(
            not isinstance(each, InstanceVariant)
            or is_token(each.instance_type)
            or not each.instance_type.startswith("ml.inf1."),
            given=f"shadow with variant {each.name!r} on Inf1",
            allowed="other types, such as those of Inf2",
            write="shadow=None",
        )


def check_capture(problems: Problems, variants: Sequence[_AnyVariant], capture: DataCapture) -> None:
    """Report what excludes data capture."""
    capture.check(problems)
    problems.check(
        not any(isinstance(each, ServerlessVariant) for each in variants),
        given="data_capture with a serverless variant",
        allowed="none: SageMaker captures nothing of it",
        write="data_capture=None",
    )


def check_slow(problems: Problems, slow: Duration | None) -> None:
    """Report a limit that no answer can reach."""
    if slow is None or slow.is_unresolved():
        return
    seconds = slow.to_seconds(integral=False)
    problems.check(
        0 < seconds <= _LONGEST_ANSWER_SECONDS,
        given=f"slow={seconds:g} s",
        allowed=f"more than zero, at most {_LONGEST_ANSWER_SECONDS} s, after which SageMaker gives up",
        write="slow=Duration.millis(500)",
    )
