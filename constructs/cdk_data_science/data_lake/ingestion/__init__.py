"""Ways into the lake beside uploads of its own people: copies of other buckets, and third parties."""

from cdk_data_science.data_lake.ingestion.bucket_copy import BucketCopy
from cdk_data_science.data_lake.ingestion.partner import PartnerUpload

__all__ = ["BucketCopy", "PartnerUpload"]
