"""Data-science infrastructure on AWS as CDK constructs."""
