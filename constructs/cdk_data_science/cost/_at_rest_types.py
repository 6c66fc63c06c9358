"""Which CloudFormation types cost nothing while nobody uses them, and which cost what no list can tell.

Free at rest means: no price by the hour, the month or the provisioned size. What is billed by request, by
byte or by second of work is free at rest. ``*`` stands for every other type of the service.
"""

from __future__ import annotations

FREE: dict[str, str] = {
    "AccessAnalyzer": "ArchiveRule",
    "ApiGatewayV2": "*",
    "AppConfig": "*",
    "ApplicationAutoScaling": "*",
    "ApplicationInsights": "*",
    "Athena": "DataCatalog NamedQuery PreparedStatement WorkGroup",
    "AutoScaling": "LaunchConfiguration LifecycleHook ScalingPolicy ScheduledAction WarmPool",
    "BCMDataExports": "*",
    "Backup": "BackupPlan BackupSelection BackupVault Framework",
    "Batch": "ConsumableResource JobDefinition JobQueue SchedulingPolicy",
    "Bedrock": (
        "Agent AgentAlias ApplicationInferenceProfile DataSource Flow FlowAlias FlowVersion Guardrail "
        "GuardrailVersion KnowledgeBase Prompt PromptVersion"
    ),
    "Budgets": "Budget",
    "CDK": "*",
    "CE": "*",
    "CUR": "*",
    "Chatbot": "*",
    "CloudFormation": "Macro ModuleVersion Stack StackSet WaitCondition WaitConditionHandle",
    "CloudTrail": "EventDataStore ResourcePolicy Trail",
    "CloudWatch": "AlarmMuteRule AnomalyDetector MetricStream",
    "CodeArtifact": "*",
    "CodeBuild": "Project ReportGroup SourceCredential",
    "CodeConnections": "*",
    "CodeDeploy": "*",
    "CodeStarConnections": "*",
    "CodeStarNotifications": "*",
    "Cognito": "*",
    "DataBrew": "*",
    "DataSync": "LocationS3 Task",
    "EC2": (
        "DHCPOptions EgressOnlyInternetGateway EIPAssociation FlowLog GatewayRouteTableAssociation "
        "InternetGateway KeyPair LaunchTemplate LocalGatewayRoute NetworkAcl NetworkAclEntry "
        "NetworkInterface PlacementGroup PrefixList Route RouteTable SecurityGroup SecurityGroupEgress "
        "SecurityGroupIngress SecurityGroupVpcAssociation Subnet SubnetCidrBlock "
        "SubnetNetworkAclAssociation SubnetRouteTableAssociation VPC VPCCidrBlock VPCDHCPOptionsAssociation "
        "VPCEndpointConnectionNotification VPCEndpointService VPCEndpointServicePermissions "
        "VPCGatewayAttachment VPCPeeringConnection VolumeAttachment"
    ),
    "ECR": "*",
    "ECS": "CapacityProvider Cluster ClusterCapacityProviderAssociations TaskDefinition",
    "EFS": "AccessPoint MountTarget",
    "EMR": "SecurityConfiguration Step Studio StudioSessionMapping",
    "EMRContainers": "*",
    "EventSchemas": "*",
    "Events": "*",
    "FSx": "DataRepositoryAssociation Snapshot",
    "Glue": (
        "Blueprint Catalog Classifier Connection Crawler CustomEntityType DataCatalogEncryptionSettings "
        "DataQualityRuleset Database IdentityCenterConfiguration Integration IntegrationResourceProperty "
        "Job MLTransform Partition Registry Schema SchemaVersion SchemaVersionMetadata "
        "SecurityConfiguration Session Table TableOptimizer Trigger UsageProfile Workflow"
    ),
    "Greengrass": "*",
    "GreengrassV2": "*",
    "IAM": "*",
    "IoT": "*",
    "KMS": "Alias",
    "Kinesis": "ResourcePolicy",
    "KinesisAnalyticsV2": "*",
    "KinesisFirehose": "*",
    "LakeFormation": "*",
    "Lambda": (
        "CodeSigningConfig EventInvokeConfig EventSourceMapping Function LayerVersion "
        "LayerVersionPermission Permission Url"
    ),
    "Lex": "*",
    "Logs": "*",
    "MSK": "BatchScramSecret ClusterPolicy Configuration Topic",
    "NetworkFirewall": "FirewallPolicy LoggingConfiguration RuleGroup",
    "Notifications": "*",
    "NotificationsContacts": "*",
    "Oam": "*",
    "OpenSearchServerless": "AccessPolicy CollectionGroup LifecyclePolicy SecurityConfig SecurityPolicy",
    "Organizations": "*",
    "Pipes": "*",
    "QuickSight": (
        "Analysis CustomPermissions Dashboard DataSet DataSource Folder RefreshSchedule Template Theme "
        "Topic VPCConnection"
    ),
    "RAM": "*",
    "Redshift": (
        "ClusterParameterGroup ClusterSecurityGroup ClusterSubnetGroup EndpointAuthorization "
        "EventSubscription Integration ScheduledAction"
    ),
    "RedshiftServerless": "*",
    "Rekognition": "Collection Project",
    "ResourceGroups": "*",
    "Route53": "DNSSEC KeySigningKey RecordSet RecordSetGroup",
    "Route53Resolver": (
        "FirewallDomainList FirewallRuleGroup FirewallRuleGroupAssociation ResolverConfig "
        "ResolverDNSSECConfig ResolverQueryLoggingConfig ResolverQueryLoggingConfigAssociation "
        "ResolverRule ResolverRuleAssociation"
    ),
    "S3": "*",
    "S3Express": "*",
    "S3Tables": "*",
    "S3Vectors": "*",
    "SES": "ConfigurationSet ConfigurationSetEventDestination ContactList EmailIdentity Template",
    "SNS": "*",
    "SQS": "*",
    "SSM": (
        "Association Document MaintenanceWindow MaintenanceWindowTarget MaintenanceWindowTask "
        "PatchBaseline ResourceDataSync ResourcePolicy"
    ),
    "SSO": "*",
    "SageMaker": (
        "Algorithm AppImageConfig ClusterSchedulerConfig CodeRepository ComputeQuota "
        "DataQualityJobDefinition Device DeviceFleet Domain EndpointConfig Hub Image ImageVersion "
        "InferenceComponent InferenceExperiment Model ModelBiasJobDefinition ModelCard "
        "ModelExplainabilityJobDefinition ModelPackage ModelPackageGroup ModelQualityJobDefinition "
        "MonitoringSchedule NotebookInstanceLifecycleConfig Pipeline ProcessingJob Project "
        "StudioLifecycleConfig UserProfile Workteam"
    ),
    "Scheduler": "*",
    "SecretsManager": "ResourcePolicy RotationSchedule SecretTargetAttachment",
    "ServiceCatalog": "*",
    "ServiceCatalogAppRegistry": "*",
    "Signer": "*",
    "StepFunctions": "*",
    "Timestream": "Database ScheduledQuery Table",
    "WAFv2": "IPSet LoggingConfiguration RegexPatternSet RuleGroup WebACLAssociation",
    "XRay": "*",
}

UNKNOWN: dict[str, str] = {
    "AWS::Athena::CapacityReservation": "by the reserved processing units",
    "AWS::AutoScaling::AutoScalingGroup": "by the instances that it starts",
    "AWS::CloudFormation::CustomResource": "only its function knows what it makes",
    "AWS::CloudWatch::InsightRule": "by the rule and the events that match it",
    "AWS::Config::ConfigRule": "by the evaluations, which follow the account's changes",
    "AWS::Config::ConfigurationRecorder": "by the items, which follow the account's changes",
    "AWS::Config::ConformancePack": "by the evaluations, which follow the account's changes",
    "AWS::Config::DeliveryChannel": "by the items of its recorder",
    "AWS::Detective::Graph": "by the account's events",
    "AWS::EC2::CapacityReservation": "by the reserved instances",
    "AWS::EC2::EC2Fleet": "by the instances that it starts",
    "AWS::EC2::Instance": "by its type",
    "AWS::EC2::VPNConnection": "by the hour",
    "AWS::ECS::Service": "by its tasks",
    "AWS::EKS::Cluster": "by the hour",
    "AWS::EMR::Cluster": "by its instances",
    "AWS::EMRServerless::Application": "free unless capacity is pre-initialized",
    "AWS::Glue::DevEndpoint": "by its processing units",
    "AWS::GuardDuty::Detector": "by the account's events",
    "AWS::Kendra::Index": "by the hour, by its edition",
    "AWS::Kinesis::StreamConsumer": "by the shards of its stream",
    "AWS::KafkaConnect::Connector": "by its workers",
    "AWS::MSK::Cluster": "by its brokers and their storage",
    "AWS::MSK::ServerlessCluster": "by the hour and the partitions",
    "AWS::MWAA::Environment": "by its class and workers",
    "AWS::Macie::Session": "by the buckets and what they hold",
    "AWS::OpenSearchService::Domain": "by its instances and their storage",
    "AWS::OpenSearchServerless::Collection": "by its compute units",
    "AWS::Personalize::Dataset": "by its size and what is trained on it",
    "AWS::RDS::DBCluster": "by its instances and their storage",
    "AWS::RDS::DBInstance": "by its type and storage",
    "AWS::Route53::HostedZone": "by the month",
    "AWS::SageMaker::MlflowApp": "scales by itself; its prices are on SageMaker's page",
    "AWS::SageMaker::MlflowTrackingServer": "by its size",
    "AWS::SageMaker::PartnerApp": "by its tier",
    "AWS::SecurityHub::Hub": "by the account's checks",
    "AWS::Synthetics::Canary": "by its runs",
}
