"""
One typed function for each ECR operation: keyword arguments in, a dict of modelled members out.

No HTTP and no JSON here: the AWS door decodes and encodes by ECR's service
model, and checks each function's parameters against it when it is imported.
The console and commands call the same functions through `invoke`.
"""

from __future__ import annotations

from moorage.operations.account_settings import get_account_setting, put_account_setting
from moorage.operations.coverage import LATER, NOTES
from moorage.operations.framework import Mode, Operation, invoke
from moorage.operations.images import (
    batch_delete_image,
    batch_get_image,
    describe_images,
    list_images,
    put_image,
    update_image_storage_class,
)
from moorage.operations.layers import (
    batch_check_layer_availability,
    complete_layer_upload,
    get_download_url_for_layer,
    initiate_layer_upload,
    upload_layer_part,
)
from moorage.operations.lifecycle import (
    delete_lifecycle_policy,
    get_lifecycle_policy,
    get_lifecycle_policy_preview,
    put_lifecycle_policy,
    start_lifecycle_policy_preview,
)
from moorage.operations.policies import (
    delete_registry_policy,
    delete_repository_policy,
    get_registry_policy,
    get_repository_policy,
    put_registry_policy,
    set_repository_policy,
)
from moorage.operations.pulls import (
    deregister_pull_time_update_exclusion,
    list_pull_time_update_exclusions,
    register_pull_time_update_exclusion,
)
from moorage.operations.referrers import list_image_referrers
from moorage.operations.registry import describe_registry
from moorage.operations.repositories import (
    create_repository,
    delete_repository,
    describe_repositories,
    get_authorization_token,
    put_image_tag_mutability,
)
from moorage.operations.scanning import (
    batch_get_repository_scanning_configuration,
    get_registry_scanning_configuration,
    put_image_scanning_configuration,
    put_registry_scanning_configuration,
)
from moorage.operations.tagging import list_tags_for_resource, tag_resource, untag_resource
from moorage.operations.templates import (
    create_repository_creation_template,
    delete_repository_creation_template,
    describe_repository_creation_templates,
    update_repository_creation_template,
)

OPERATIONS: tuple[Operation, ...] = (
    batch_check_layer_availability,
    batch_delete_image,
    batch_get_image,
    batch_get_repository_scanning_configuration,
    complete_layer_upload,
    create_repository,
    create_repository_creation_template,
    delete_lifecycle_policy,
    delete_registry_policy,
    delete_repository,
    delete_repository_creation_template,
    delete_repository_policy,
    deregister_pull_time_update_exclusion,
    describe_images,
    describe_registry,
    describe_repositories,
    describe_repository_creation_templates,
    get_account_setting,
    get_authorization_token,
    get_download_url_for_layer,
    get_lifecycle_policy,
    get_lifecycle_policy_preview,
    get_registry_policy,
    get_registry_scanning_configuration,
    get_repository_policy,
    initiate_layer_upload,
    list_image_referrers,
    list_images,
    list_pull_time_update_exclusions,
    list_tags_for_resource,
    put_account_setting,
    put_image,
    put_image_scanning_configuration,
    put_image_tag_mutability,
    put_lifecycle_policy,
    put_registry_policy,
    put_registry_scanning_configuration,
    register_pull_time_update_exclusion,
    set_repository_policy,
    start_lifecycle_policy_preview,
    tag_resource,
    untag_resource,
    update_image_storage_class,
    update_repository_creation_template,
    upload_layer_part,
)
"""Everything that Moorage can be asked at the AWS door."""

__all__ = ["LATER", "NOTES", "OPERATIONS", "Mode", "Operation", "invoke"]
