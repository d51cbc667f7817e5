from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from stack.accounts import services
from stack.accounts.models import Profile, User

if TYPE_CHECKING:
    ProfileModelAdmin = admin.ModelAdmin[Profile]
    UserModelAdmin = DjangoUserAdmin[User]
else:
    ProfileModelAdmin = admin.ModelAdmin
    UserModelAdmin = DjangoUserAdmin


# Sessions are not here: their keys are as good as passwords. The action below ends them.
@admin.register(User)
class UserAdmin(UserModelAdmin):
    list_display = ("username", "email", "is_active", "is_staff", "date_joined")
    search_fields = ("username", "email")
    fieldsets = (
        (None, {"fields": ("username", "email", "password")}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")
    actions = ("sign_out_everywhere",)

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm[User], change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            Profile.objects.create(user=obj)
        elif "is_active" in form.changed_data:
            services.user_set_active(user_id=obj.pk, active=obj.is_active)

    @admin.action(description="Sign out everywhere", permissions=["change"])
    def sign_out_everywhere(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        count = services.sign_out_everywhere(user_ids=list(queryset.values_list("pk", flat=True)))
        self.message_user(request, f"Sessions ended: {count}", messages.SUCCESS)


@admin.register(Profile)
class ProfileAdmin(ProfileModelAdmin):
    list_display = ("user", "first_name", "last_name")
    list_select_related = ("user",)
    search_fields = ("user__username", "first_name", "last_name")
    raw_id_fields = ("user",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # It is the primary key: another user there would be another profile.
        return ("user",) if obj else ()
