"""A data lake, and predictions from the models in it: `cdk deploy --app "python app.py"`."""

import aws_cdk as cdk

from cdk_data_science import DataLake, ServerlessInference

app = cdk.App()
stack = cdk.Stack(app, "Reviews")
lake = DataLake(stack, "Lake")
inference = ServerlessInference(stack, "Inference", models=lake.models)
cdk.CfnOutput(stack, "Url", value=inference.url.url)
app.synth()
