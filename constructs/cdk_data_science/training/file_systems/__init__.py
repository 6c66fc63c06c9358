"""File systems that training jobs and notebooks mount: FSx for Lustre and EFS."""
